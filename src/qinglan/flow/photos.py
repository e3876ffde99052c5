"""Photos that strangers send: looked at as an image, made small, and stripped of everything but the picture."""

from __future__ import annotations

import io
import warnings

from PIL import Image, ImageOps, UnidentifiedImageError

from qinglan.core.errors import UsageError

#: What a telephone or a browser sends. Nothing else is even tried.
FORMATS = ("JPEG", "PNG", "WEBP")
QUALITY = 85


def clean(data: bytes, *, most_bytes: int, most_pixels: int, side: int) -> bytes:
    """The picture as a JPEG without EXIF (where and with what it was taken), no side longer than `side` pixels.

    UsageError when it is larger than `most_bytes` or `most_pixels`, or no image of a kind we take. The number of
    pixels is read from the head of the file before any is unpacked (a small file may unpack to gigabytes).
    """
    if len(data) > most_bytes:
        raise UsageError(f"the photo has {len(data)} bytes, more than {most_bytes}.", remedy="Send a smaller one.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                if image.width * image.height > most_pixels:
                    raise UsageError(
                        f"the photo has {image.width} × {image.height} pixels, more than {most_pixels}.",
                        remedy="Send a smaller one.",
                    )
                upright = ImageOps.exif_transpose(image).convert("RGB")
    except UnidentifiedImageError:
        raise UsageError("the photo is no JPEG, PNG or WebP image.", remedy="Send one of these.") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UsageError("the photo cannot be read.", remedy="Send it as JPEG.") from None
    upright.thumbnail((side, side))
    bare = Image.new("RGB", upright.size)
    bare.paste(upright)
    out = io.BytesIO()
    bare.save(out, "JPEG", quality=QUALITY, optimize=True)
    return out.getvalue()
