"""Personal data in text: e-mail and IP addresses, card and account numbers, and what may be a telephone number.

Every search starts at bytes that such a value must have (`kernels.simd.anchors`), and looks around them within bounds
or up to the next such byte, so that time is linear in the text, whatever the text.
"""
