"""The pages of nanollm/ops made fast: `cpu` for the processor, `cuda` for a graphics card.

Every file here carries the name of the page it makes fast, and the page has the mathematics.
"""
