"""Restores films frame by frame, in the memory of a part of the film; copies sound and subtitles unchanged.

Frames are encoded in parts of `PART` frames. Each part is a file in a folder beside the output, so an interrupted run
resumes where it stopped, to the same bytes. At the end the parts are joined without encoding them again.
"""

import heapq
import io
import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import LncaError, in_short
from ..files import stamp_of, write_whole, written_whole
from ..images.limits import SMALLEST_SIDE
from ..version import __version__
from .batch import Record, RestoreOptions, mean_levels, restore_frame, restorer_of, unexpected

# FFmpeg's names of the containers that can be written, by suffix.
CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
# Number of frames of a part.
PART = 48
# Weight of the noise level of earlier frames, which is mixed with a frame's own estimate so that nothing flickers; if
# the two differ by more than a factor, the scene has changed.
BEFORE, OTHER_SCENE = 0.8, 1.6
# Encoders for 8 and for more bits. Parts can only be joined without frames that depend on later ones.
ENCODERS: dict[bool, tuple[str, dict[str, str]]] = {
    False: ("libx264", {"crf": "14", "preset": "medium", "bf": "0", "threads": "1"}),
    True: (
        "libx265",
        {"crf": "16", "preset": "medium", "x265-params": "bframes=0:log-level=none:pools=1:frame-threads=1"},
    ),
}
# FFmpeg's numbers: default colour spaces of small and of large pictures, and colour ranges.
BT_601, BT_709, UNKNOWN, STUDIO, FULL = 5, 1, 2, 1, 2
LARGE = 720
# Flags of FFmpeg's scaler: bicubic, accurate rounding, full chroma; otherwise every frame loses a level of brightness.
EXACTLY = 4 | 0x40000 | 0x2000 | 0x4000


@dataclass(kw_only=True)
class Look:
    """The coding of a film's frames, from its first frame."""

    width: int
    height: int
    bits: int
    chroma: str
    space: int
    full: bool
    tags: dict[str, int] = field(default_factory=dict)
    rotation: int = 0
    aspect: tuple[int, int] | None = None

    @property
    def format(self) -> str:
        """The encoder's pixel format."""
        return f"yuv{self.chroma}p" + ("10le" if self.bits > 8 else "")


def film_output(source: Path, output: Path | None, overwrite: bool) -> Path:
    """The output file of a restored film.

    Args:
        output: None means the source with "-restored" added to its name; in a folder the output gets the source's name.

    Raises:
        LncaError: the output exists, is the source itself, or has a container that cannot be written.
    """
    kept = source.suffix if source.suffix.lower() in CONTAINERS else ".mkv"
    if output is None:
        output = source.with_name(f"{source.stem}-restored{kept}")
    elif output.is_dir():
        output = output / f"{source.stem}{kept}"
    if output.suffix.lower() not in CONTAINERS:
        raise LncaError(f"{output} should end in one of {', '.join(CONTAINERS)}")
    if output.exists() and output.samefile(source):
        raise LncaError(f"{output} is the film itself; choose another output")
    if output.exists() and not overwrite:
        raise LncaError(f"{output} exists; add --overwrite to replace it")
    return output


def restore_film(
    source: Path, output: Path, options: RestoreOptions, progress: Callable[[float], None] | None = None
) -> Record:
    """Restores a film; errors are in the record.

    Args:
        output: the output of `film_output`.
        progress: called with the finished share, 0 to 1.
    """
    record = Record(str(source), str(output), options.model)
    begin = time.perf_counter()
    try:
        _Film(source, output, options, record, progress or (lambda share: None)).restore()
    except LncaError as error:
        record.error = str(error)
    except Exception as error:
        record.error = unexpected(record.file, error)
    record.seconds = round(time.perf_counter() - begin, 3)
    return record


class _Film:
    """One film while it is restored."""

    def __init__(
        self, source: Path, output: Path, options: RestoreOptions, record: Record, progress: Callable[[float], None]
    ):
        try:
            import av
        except ImportError as error:
            raise LncaError("films need av: pip install 'lnca[io]'") from error
        self.av, self.source, self.output, self.options = av, source, output, options
        self.record, self.progress = record, progress
        self.parts = output.with_name(f"{output.name}.lnca-parts")
        self.restorer = restorer_of(options.model, options.device, options.backend, options.precision)
        self.before: np.ndarray | None = None
        self.levels: list[tuple[float, float]] = []

    def restore(self) -> None:
        try:
            with self.av.open(str(self.source)) as film:
                self._check(film)
                done = self._all_parts(film)
            self._join(done)
        except (self.av.error.FFmpegError, ValueError) as error:
            raise LncaError(f"{self.source} cannot be restored as a film: {in_short(error, 200)}") from error
        shutil.rmtree(self.parts, ignore_errors=True)

    def _check(self, film: Any) -> None:
        """Raises `LncaError` if the file has no film."""
        if not film.streams.video:
            raise LncaError(f"{self.source} holds no film; it has {len(film.streams)} streams without pictures")
        film.streams.video[0].thread_type = "AUTO"

    def _all_parts(self, film: Any) -> list[Path]:
        """Restores the missing parts; returns all parts."""
        stream, look = film.streams.video[0], None
        done: list[Path] = []
        part: list[Any] = []
        count = _count(film, stream)
        for frame in film.decode(stream):
            if look is None:
                look = self._look(frame, stream)
                self._go_on(look)
            self._check_frame(frame, look)
            part.append(frame)
            self.record.frames += 1
            if len(part) == PART:
                done.append(self._part(part, len(done), look, stream, count))
                part = []
        if part and look is not None:
            done.append(self._part(part, len(done), look, stream, count))
        if not done:
            raise LncaError(f"{self.source} holds no frame that can be decoded; get a whole copy of it")
        self.record.noise_level = mean_levels(self.levels)
        return done

    def _look(self, frame: Any, stream: Any) -> Look:
        width, height = frame.width, frame.height
        if width * height > self.options.max_pixels:
            raise LncaError(f"{self.source} has {width}x{height} pixels, over the limit of {self.options.max_pixels}")
        if min(width, height) < SMALLEST_SIDE:
            raise LncaError(f"a picture needs at least 8x8 pixels, got {width}x{height}")
        self.record.width, self.record.height = width, height
        pixels = frame.format
        bits = max(component.bits for component in pixels.components)
        chroma = _chroma(pixels, width, height)
        if bits > 10:
            self.record.notes.append(f"{bits} bits became 10")
        if any(component.is_alpha for component in pixels.components):
            self.record.notes.append("transparency was left out")
        sides = frame.side_data.keys() if hasattr(frame.side_data, "keys") else ()
        if any("MASTERING" in str(each) or "LIGHT_LEVEL" in str(each) for each in sides):
            self.record.notes.append("what HDR says of the screen was left out")
        space = int(frame.colorspace)
        known = space in (BT_601, BT_709, 6, 9)
        tags = {
            "colorspace": space,
            "color_primaries": int(frame.color_primaries),
            "color_trc": int(frame.color_trc),
            "color_range": int(frame.color_range),
        }
        aspect = stream.sample_aspect_ratio
        return Look(
            width=width,
            height=height,
            bits=min(bits, 10),
            chroma=chroma,
            space=space if known else BT_709 if height >= LARGE else BT_601,
            full=int(frame.color_range) == FULL or pixels.name.startswith("yuvj") or pixels.is_rgb,
            tags=tags,
            rotation=int(frame.rotation),
            aspect=None if aspect is None else (aspect.numerator, aspect.denominator),
        )

    def _check_frame(self, frame: Any, look: Look) -> None:
        if (frame.width, frame.height) != (look.width, look.height):
            raise LncaError(
                f"{self.source} changes its size to {frame.width}x{frame.height} in the middle; cut it there"
            )
        if frame.interlaced_frame:
            raise LncaError(f"{self.source} is interlaced; deinterlace it first, such as with FFmpeg's filter bwdif")
        if frame.pts is None:
            raise LncaError(f"{self.source} has frames without a time; remux it first (ffmpeg -i IN -c copy OUT.mkv)")

    def _go_on(self, look: Look) -> None:
        """Keeps the parts of an interrupted run with the same settings; removes all others."""
        stat = self.source.stat()
        told = {
            "lnca": __version__,
            "source": str(self.source.resolve()),
            "bytes": stat.st_size,
            "time": stat.st_mtime_ns,
            "look": asdict(look),
            "part": PART,
            "way": _plain_settings(self.options),
            "backend": self.restorer.backend,
        }
        text = json.dumps(told, default=str, sort_keys=True).encode()
        key = self.parts / "film.json"
        if not key.is_file() or key.read_bytes() != text:
            if self.parts.exists():
                shutil.rmtree(self.parts)
                self.record.notes.append("parts of an interrupted run that did something else were removed")
            write_whole(key, text)

    def _part(self, frames: list[Any], number: int, look: Look, stream: Any, count: int) -> Path:
        """The file of a part; restores the part if the file does not exist."""
        path, state = self.parts / f"{number:05}.mkv", self.parts / f"{number:05}.npy"
        first = number * PART
        if path.is_file() and state.is_file():
            levels = np.load(state, allow_pickle=False)
            self.before = levels if levels.size else None
            if self.before is not None:
                self.levels.append(_mean(levels))
            self.progress(min((first + len(frames)) / count, 1.0))
            return path
        room = io.BytesIO()
        with self.av.open(room, "w", format="matroska") as part:
            encoder = self._encoder(part, look, stream)
            for place, frame in enumerate(frames):
                pixels = _pixels(frame, look)
                part.mux(encoder.encode(self._frame(self._restored(pixels), pixels, frame, look)))
                self.progress(min((first + place + 1) / count, 1.0))
            part.mux(encoder.encode())
        levels = np.empty(0, np.float32) if self.before is None else self.before
        array = io.BytesIO()
        np.save(array, levels, allow_pickle=False)
        write_whole(state, array.getvalue())
        write_whole(path, room.getvalue())
        return path

    def _restored(self, pixels: np.ndarray) -> np.ndarray:
        """Restores one frame, with a noise level that changes gently from frame to frame."""
        options = self.options
        if self.restorer.takes_noise_level:
            levels = self.restorer.noise_levels(pixels, options.noise.level, options.noise.scale)
            before = self.before
            if before is not None and 1 / OTHER_SCENE < (levels.mean() + 1) / (before.mean() + 1) < OTHER_SCENE:
                levels = BEFORE * before + (1 - BEFORE) * levels
            self.before = levels = levels.astype(np.float32)
            self.levels.append(_mean(levels))
            options = replace(options, noise=replace(options.noise, level=levels, scale=1.0))
        done = restore_frame(pixels, options)
        self.record.steps = done.steps
        return done.picture

    def _encoder(self, part: Any, look: Look, stream: Any) -> Any:
        name, encoder_options = ENCODERS[look.bits > 8]
        encoder = part.add_stream(name, rate=stream.average_rate or 25, options=encoder_options)
        encoder.width, encoder.height, encoder.pix_fmt = look.width, look.height, look.format
        encoder.codec_context.time_base = stream.time_base
        for tag, value in look.tags.items():
            setattr(encoder.codec_context, tag, value)
        if look.aspect is not None:
            from fractions import Fraction

            encoder.codec_context.sample_aspect_ratio = Fraction(*look.aspect)
        return encoder

    def _frame(self, pixels: np.ndarray, before: np.ndarray, given: Any, look: Look) -> Any:
        """The given frame with the changed pixels: chroma samples of several pixels stay unchanged if none of the
        pixels changed."""
        coded = given.reformat(format=look.format)
        # The decoder may still read the frame that it returned.
        coded.make_writable()
        after, was = (self._coded(each, look) for each in (pixels, before))
        most = 2**look.bits - 1
        for target, new, old in zip(_planes(coded), _planes(after), _planes(was), strict=True):
            changed = target.astype(np.int32) + new - old
            target[...] = changed.clip(0, most).astype(target.dtype)
        coded.pts, coded.time_base = given.pts, given.time_base
        coded.pict_type = self.av.video.frame.PictureType.NONE
        return coded

    def _coded(self, pixels: np.ndarray, look: Look) -> Any:
        """Converts colours to a frame in the encoder's format."""
        kind = "rgb48le" if pixels.dtype == np.uint16 else "rgb24"
        frame = self.av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), kind)
        return frame.reformat(
            format=look.format,
            src_colorspace=look.space,
            dst_colorspace=look.space,
            src_color_range=FULL,
            dst_color_range=FULL if look.full else STUDIO,
            interpolation=EXACTLY,
        )

    def _join(self, parts: list[Path]) -> None:
        """Joins all parts and the other streams of the film into one file."""
        kind = CONTAINERS[self.output.suffix.lower()]
        with (
            self.av.open(str(self.source)) as film,
            written_whole(self.output, stamp_of(self.source, self.options.times)) as file,
            self.av.open(str(parts[0])) as first,
        ):
            joined = self.av.open(file, "w", format=kind)
            try:
                joined.metadata.update({**film.metadata, "comment": self._how(film)})
                given = film.streams.video[0]
                video = joined.add_stream_from_template(first.streams.video[0])
                video.metadata.update(given.metadata)
                frame = next(film.decode(given))
                if frame.rotation:
                    video.set_display_rotation(frame.rotation)
                film.seek(0)
                others = self._others(film, joined, given)
                for packet, stream in heapq.merge(
                    self._pictures(parts, video),
                    _copied(film, others),
                    key=lambda pair: float(pair[0].dts * pair[0].time_base),
                ):
                    packet.stream = stream
                    joined.mux(packet)
            finally:
                joined.close()

    def _how(self, film: Any) -> str:
        said = film.metadata.get("comment", "")
        return f"{said}; " * bool(said) + f"restored by lnca {__version__}: {self.restorer.info.name}"

    def _others(self, film: Any, joined: Any, given: Any) -> dict[int, Any]:
        """The streams to copy, by their number in the film; notes streams that cannot be copied."""
        kept: dict[int, Any] = {}
        for stream in film.streams:
            if stream is given or stream.index == given.index:
                continue
            if stream.type in ("audio", "subtitle"):
                try:
                    kept[stream.index] = joined.add_stream_from_template(stream)
                    kept[stream.index].metadata.update(stream.metadata)
                    continue
                except (ValueError, self.av.error.FFmpegError):
                    pass
            name = getattr(stream.codec_context, "name", None) or "unknown"
            hint = "; write .mkv to keep it" if self.output.suffix.lower() != ".mkv" and stream.type != "data" else ""
            self.record.notes.append(f"{stream.type} ({name}) was left out{hint}")
        return kept

    def _pictures(self, parts: list[Path], stream: Any) -> Iterator[tuple[Any, Any]]:
        for path in parts:
            with self.av.open(str(path)) as part:
                for packet in part.demux(part.streams.video[0]):
                    if packet.dts is not None:
                        yield packet, stream


def _copied(film: Any, others: dict[int, Any]) -> Iterator[tuple[Any, Any]]:
    """Yields packets of the streams that are kept."""
    if not others:
        return
    for packet in film.demux([film.streams[index] for index in others]):
        if packet.dts is not None:
            yield packet, others[packet.stream.index]


def _pixels(frame: Any, look: Look) -> np.ndarray:
    """A frame (H, W, 3) as uint8 or, for more bits, uint16."""
    kind = "rgb48le" if look.bits > 8 else "rgb24"
    colours = frame.reformat(
        format=kind,
        src_colorspace=look.space,
        dst_colorspace=look.space,
        src_color_range=FULL if look.full else STUDIO,
        dst_color_range=FULL,
        interpolation=EXACTLY,
    )
    return colours.to_ndarray()


def _mean(levels_hw2: np.ndarray) -> tuple[float, float]:
    """Mean levels of brightness and colour noise."""
    brightness, colour = levels_hw2.mean((0, 1)).tolist()
    return brightness, colour


def _planes(frame: Any) -> list[np.ndarray]:
    """The planes of a frame as writable arrays, uint8 or uint16."""
    found = []
    for plane in frame.planes:
        values = np.frombuffer(plane, np.uint16 if "10" in frame.format.name else np.uint8)
        found.append(values.reshape(plane.height, -1)[:, : plane.width])
    return found


def _chroma(pixels: Any, width: int, height: int) -> str:
    """Chroma subsampling in the form of the pixel format yuv420p: "420", "422" or "444"; "444" if sides are odd."""
    if pixels.is_rgb or len(pixels.components) < 3:
        whole = pixels.is_rgb
    else:
        halves = (pixels.chroma_width(16) < 16, pixels.chroma_height(16) < 16)
        whole = halves == (False, False)
        if halves == (True, False) and width % 2 == 0:
            return "422"
    return "444" if whole or width % 2 or height % 2 else "420"


def _count(film: Any, stream: Any) -> int:
    """The approximate number of frames, at least 1."""
    if stream.frames:
        return int(stream.frames)
    rate = float(stream.average_rate or 25)
    if stream.duration is not None:
        return max(1, round(float(stream.duration * stream.time_base) * rate))
    return max(1, round((film.duration or 0) / 1e6 * rate))


def _plain_settings(options: RestoreOptions) -> dict[str, Any]:
    """Settings as JSON-like data; arrays are replaced by their digest."""

    def plain(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        if isinstance(value, Path):
            return [str(value), value.stat().st_mtime_ns if value.exists() else None]
        if isinstance(value, dict):
            return {name: plain(each) for name, each in value.items()}
        return value

    return {name: plain(value) for name, value in asdict(options).items()}


__all__ = ["CONTAINERS", "film_output", "restore_film"]
