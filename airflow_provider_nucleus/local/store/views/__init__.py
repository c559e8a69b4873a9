"""The store as it is read: objects, counts, matches, exports, selections."""
