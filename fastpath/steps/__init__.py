"""The steps of a plan: single layers, prepared to run on feature maps in arenas by compiled kernels.

A feature map is int8 codes as unsigned bytes, code plus zero point, pixel after pixel with all channels of a pixel
together, and border pixels around it. The zero point is 0 where no code is negative, else 128.
"""
