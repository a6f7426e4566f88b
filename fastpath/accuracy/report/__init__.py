"""The page that `ncnn-assay compare --html` writes."""
