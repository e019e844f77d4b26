"""Everything that can break does, at random, while thousands of orders pass; then the books are checked."""
