"""One function per route of the contract, each returning a `Call`; grouped by resource as in the contract."""
