"""The wire format, without I/O: request bodies out, frames and answers in, errors by their meaning."""
