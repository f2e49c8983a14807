"""The plugin under the framework's own name: ``videosdk.plugins.smallestai``.

The build maps this folder to ``videosdk/plugins/smallestai``. Everything lives in ``videosdk_plugins_smallestai``.
"""

from videosdk_plugins_smallestai import SmallestAIModel, SmallestAITTS, __version__

__all__ = ["SmallestAIModel", "SmallestAITTS", "__version__"]
