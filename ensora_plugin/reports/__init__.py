"""The Flex Reports: what is mapped and what is not, on screen and as a file."""
