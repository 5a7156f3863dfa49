"""GIF, still and animated."""

from typing import Any, BinaryIO

from PIL import Image

from ..photo import SOFTWARE, Photo, has_alpha, in_colour
from ..pillow import images_of, lazily_opened, read_with_pillow, save_with_pillow
from .jpeg import COMMENT, comment_of
from .record import Format, Part, begins

# Beginning of the text that says how a picture was restored.
OWN = "lnca "
TO_BACKGROUND = 2
# Extensions with the number of repetitions of an animation.
LOOPS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")


def read(file: BinaryIO, name: str, limit: int) -> Photo:
    photo = read_with_pillow(file, name, limit, "GIF", True)
    file.seek(0)
    with lazily_opened(file, "GIF") as picture:
        comment = picture.info.get("comment", b"").decode("utf-8", "surrogateescape")
        extension, _ = picture.info.get("extension", (b"", 0))
    lines = [line for line in comment.splitlines() if not line.startswith(OWN)]
    if lines:
        photo.comments[COMMENT] = "\n".join(lines)
    if extension and not extension.startswith(LOOPS):
        photo.note(f"the extension {extension[:11].decode('latin-1').strip()} was left out")
    return photo


def write(photo: Photo, file: BinaryIO) -> list[str]:
    photo.frames = [in_colour(frame) if has_alpha(frame) else frame for frame in photo.frames]
    images = images_of(photo)
    options: dict[str, Any] = {}
    texts = [comment_of(photo), str(photo.exif.get(SOFTWARE, ""))]
    if any(texts):
        options["comment"] = "\n".join(filter(None, texts)).encode("utf-8", "surrogateescape")
    if len(images) > 1:
        if photo.durations:
            options["duration"] = photo.durations
        if photo.loop is not None:
            options["loop"] = photo.loop
        # Each frame is complete; without disposal, the previous frame would show through.
        if any(image.mode == "RGBA" for image in images):
            options["disposal"] = TO_BACKGROUND
    save_with_pillow(images, file, "GIF", **options)
    return _lost_in_palette(images)


def _lost_in_palette(images: list[Image.Image]) -> list[str]:
    """What is lost in palettes of 256 colours a frame, one of them transparent; one phrase each."""
    notes = []
    coloured = [image for image in images if image.mode != "L"]
    if any(image.getcolors(256) is None or _in_palette(image) != image.tobytes() for image in coloured):
        notes.append("colours became at most 256")
    if any(set(image.getchannel("A").tobytes()) - {0, 255} for image in images if image.mode == "RGBA"):
        notes.append("transparency became all or none")
    return notes


def _in_palette(image: Image.Image) -> bytes:
    """The pixels of an image after conversion to a palette."""
    return image.convert("P", palette=Image.Palette.ADAPTIVE).convert(image.mode).tobytes()


GIF = Format(
    name="GIF",
    suffixes=(".gif",),
    media="image/gif",
    recognise=begins(b"GIF87a", b"GIF89a"),
    read=read,
    write=write,
    keeps=frozenset({Part.ALPHA, Part.ANIMATION, Part.COMMENTS}),
    coded="256 colours a frame",
)
