"""From samples to a calibration table: statistics of activations, the methods that choose thresholds, the rows.

Reader's order: `images` and `pixels` (samples), `statistics`, `kl` and `aciq` (thresholds), `weight_scales`, `eq`
(search), `calibrate` (all of it, in the order of the file).
"""
