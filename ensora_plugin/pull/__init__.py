"""Pull: pages of the vendor's feeds become records."""
