"""Finds out what a service really does, where the sources of this plugin disagree.

``python -m videosdk_plugins_smallestai check`` asks it some twenty short questions, compares the answers with what
is assumed, and says what the plugin does about each difference.
"""
