"""The module in which code written for the framework's own plugin looks for the class."""

from videosdk_plugins_smallestai import SmallestAIModel, SmallestAITTS

__all__ = ["SmallestAIModel", "SmallestAITTS"]
