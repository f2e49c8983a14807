"""Ways to the service: WebSocket and HTTP. Only this package (and the emulator) touches the network."""
