"""The rows of the tabs: found, counted, and put into words."""
