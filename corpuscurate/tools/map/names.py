"""The files of a map."""

PAGE, COORDINATES = "map.html", "map.parquet"
