"""The widgets: one file each, the twin of js/src/widgets/*.tsx."""
