"""The Synchronization window: its pages, fragments and forms."""
