"""What EXPLAIN prints, in any format and frame, as a document of FORMAT JSON."""
