"""Rasters of strangers as GDAL and PROJ may see them: the file itself, and nothing that it or a link leads to."""
