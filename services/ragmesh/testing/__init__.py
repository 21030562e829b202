"""Public fakes, contract suites and builders; nothing that ships imports them."""
