"""Films: kept streams and properties, and resuming."""

from fractions import Fraction

import numpy as np
import pytest

from conftest import textured
from disks import failing
from lnca import LncaError
from lnca.restoration import film
from lnca.restoration.batch import DoneFrame, RestoreOptions, restorer_of
from lnca.restoration.film import film_output, restore_film

av = pytest.importorskip("av")

FRAMES, SIZE = 11, (96, 64)


def scene(number, deep=False, size=SIZE):
    """A moving picture with new noise in each frame."""
    still = np.asarray(textured(*size), np.float64)
    noisy = np.roll(still, 2 * number, 1) + np.random.default_rng(number).normal(0, 8, still.shape)
    clipped = noisy.clip(0, 255)
    return (clipped * 257).astype(np.uint16) if deep else clipped.astype(np.uint8)


def shoot(path, frames=FRAMES, *, codec="libx264", pixels="yuv420p", times=None, sound=True, rotation=0, size=SIZE):
    """Writes a film with BT.709 colours in limited range."""
    with av.open(str(path), "w") as container:
        picture = container.add_stream(codec, rate=25, options={"crf": "4", "x265-params": "log-level=none"})
        picture.width, picture.height, picture.pix_fmt = *size, pixels
        for tag in ("colorspace", "color_primaries", "color_trc", "color_range"):
            setattr(picture.codec_context, tag, 1)
        picture.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            picture.set_display_rotation(rotation)
        voice = None
        if sound:
            voice = container.add_stream("aac", rate=48000)
            voice.layout = "stereo"
        deep = "10" in pixels
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(scene(number, deep, size), "rgb48le" if deep else "rgb24")
            frame = frame.reformat(format=pixels, dst_colorspace=1, src_color_range=2, dst_color_range=1)
            frame.pts, frame.time_base = (times[number] if times else 40 * number), Fraction(1, 1000)
            container.mux(picture.encode(frame))
        container.mux(picture.encode())
        for number in range(9 if sound else 0):
            tone = np.sin(np.arange(1024) / (5 + number))[None].repeat(2, 0).astype(np.float32)
            heard = av.AudioFrame.from_ndarray(tone, format="fltp", layout="stereo")
            heard.sample_rate, heard.pts = 48000, 1024 * number
            container.mux(voice.encode(heard))
        if sound:
            container.mux(voice.encode())
    return path


@pytest.fixture(autouse=True)
def encoded_well(monkeypatch):
    """Encodes nearly without loss, so that tests compare lnca's changes and not those of the encoder."""
    finer = {deep: (name, {**options, "crf": "2"}) for deep, (name, options) in film.ENCODERS.items()}
    monkeypatch.setattr(film, "ENCODERS", finer)


def seen(path):
    """Coded brightness and chroma of a film."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray() for frame in container.decode(video=0)])


def colours(path):
    """Red, green and blue from BT.709 in limited range."""
    with av.open(str(path)) as container:
        return np.stack(
            [
                frame.reformat(
                    format="rgb24", src_colorspace=1, src_color_range=1, dst_color_range=2, interpolation=film.EXACTLY
                ).to_ndarray()
                for frame in container.decode(video=0)
            ]
        )


def times_of(path):
    with av.open(str(path)) as container:
        return [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]


def heard(path):
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.dts is not None]


def psnr(one, other, white=255):
    return 10 * np.log10(white**2 / np.mean((one.astype(float) - other) ** 2))


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return shoot(tmp_path_factory.mktemp("film") / "clip.mp4")


@pytest.fixture(scope="module")
def way(weights):
    return RestoreOptions(str(weights), device="cpu")


def test_what_is_not_restored_is_kept(clip, way, tmp_path):
    told = []
    there = tmp_path / "out.mp4"
    record = restore_film(clip, there, RestoreOptions(way.model, device="cpu", strength=0.0), told.append)
    assert (record.error, record.notes, record.frames) == (None, [], FRAMES)
    assert (record.width, record.height) == SIZE
    assert psnr(seen(clip), seen(there)) > 45
    assert abs(seen(clip).mean() - seen(there).mean()) < 0.1
    assert times_of(there) == pytest.approx(times_of(clip))
    assert heard(there) == heard(clip)
    with av.open(str(there)) as container:
        codec = container.streams.video[0].codec_context
        assert (codec.name, codec.pix_fmt) == ("h264", "yuv420p")
        assert (codec.colorspace, codec.color_primaries, codec.color_trc, codec.color_range) == (1, 1, 1, 1)
        assert "restored by lnca" in container.metadata["comment"]
    assert told == sorted(told)
    assert told[-1] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_frames_are_what_the_model_makes_of_them(clip, way, tmp_path):
    restore_film(clip, tmp_path / "out.mkv", way)
    restorer = restorer_of(way.model, "cpu", "auto", "float32")
    given = colours(clip)
    expected = np.stack([restorer.restore(frame) for frame in given])
    made = colours(tmp_path / "out.mkv")
    # The film has one chroma sample for 2x2 pixels.
    brightness = (0.2126, 0.7152, 0.0722)
    assert psnr(expected @ brightness, made @ brightness) > 38
    assert psnr(given @ brightness, expected @ brightness) < 30


def test_ten_bits_stay_ten(way, tmp_path):
    given = shoot(tmp_path / "deep.mkv", 4, codec="libx265", pixels="yuv420p10le", sound=False)
    record = restore_film(given, tmp_path / "out.mp4", RestoreOptions(way.model, device="cpu", strength=0.0))
    assert record.error is None
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p10le"
    assert psnr(seen(given), seen(tmp_path / "out.mp4"), 1023) > 45


def test_an_interrupted_film_is_gone_on_with_to_the_same_bytes(clip, way, tmp_path, monkeypatch):
    monkeypatch.setattr(film, "PART", 4)
    assert restore_film(clip, tmp_path / "whole.mp4", way).error is None
    restored, restore = [], film.restore_frame

    def count(frame, way):
        if len(restored) == 6:
            raise KeyboardInterrupt
        restored.append(frame)
        return restore(frame, way)

    monkeypatch.setattr(film, "restore_frame", count)
    with pytest.raises(KeyboardInterrupt):
        restore_film(clip, tmp_path / "cut.mp4", way)
    assert not (tmp_path / "cut.mp4").exists()
    assert {path.name for path in (tmp_path / "cut.mp4.lnca-parts").iterdir()} == {
        "film.json",
        "00000.mkv",
        "00000.npy",
    }
    done = []
    monkeypatch.setattr(film, "restore_frame", lambda frame, way: done.append(frame) or restore(frame, way))
    restore_film(clip, tmp_path / "cut.mp4", way)
    assert len(done) == FRAMES - 4
    assert (tmp_path / "cut.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()
    assert not (tmp_path / "cut.mp4.lnca-parts").exists()


def test_a_disk_that_is_full_when_parts_are_joined_leaves_them(clip, way, tmp_path, monkeypatch):
    whole = tmp_path / "whole.mp4"
    assert restore_film(clip, whole, way).error is None
    for fault in ("half", "last byte", "sync", "rename"):
        there = tmp_path / f"{fault}.mp4"
        with monkeypatch.context() as patch:
            join, room = film._Film._join, len(whole.read_bytes())

            def on_a_full_disk(self, parts, fault=fault, join=join, room=room):
                with failing(fault, room=room // 2 if fault == "half" else room - 1):
                    join(self, parts)

            patch.setattr(film._Film, "_join", on_a_full_disk)
            error = restore_film(clip, there, way).error
        assert f"cannot write {there}: No space left on device" in error
        assert not there.exists()
        assert not [path for path in tmp_path.iterdir() if path.name.startswith(".lnca-")]
        restored = []
        with monkeypatch.context() as patch:
            patch.setattr(film, "restore_frame", restored.append)
            assert restore_film(clip, there, way).error is None
        assert not restored
        assert there.read_bytes() == whole.read_bytes()


def test_parts_of_another_way_are_not_used(clip, way, tmp_path, monkeypatch):
    monkeypatch.setattr(film, "PART", 4)
    parts = tmp_path / "out.mp4.lnca-parts"
    parts.mkdir()
    (parts / "film.json").write_text("{}")
    for name in ("00000.mkv", "00000.npy"):
        (parts / name).write_bytes(b"of another way")
    record = restore_film(clip, tmp_path / "out.mp4", way)
    assert (record.error, record.notes) == (None, ["parts of an interrupted run that did something else were removed"])
    assert len(seen(tmp_path / "out.mp4")) == FRAMES


@pytest.mark.parametrize(
    "options",
    [
        {"rotation": 90},
        {"size": (33, 41), "pixels": "yuv444p"},
        {"times": [0, 10, 70, 75, 200, 201, 400, 410, 500, 666, 700]},
    ],
    ids=["rotated", "odd", "uneven"],
)
def test_films_of_every_kind(way, tmp_path, options):
    given = shoot(tmp_path / "given.mp4", sound=False, **options)
    record = restore_film(given, tmp_path / "out.mp4", RestoreOptions(way.model, device="cpu", strength=0.0))
    assert (record.error, record.notes) == (None, [])
    assert times_of(tmp_path / "out.mp4") == pytest.approx(times_of(given))
    assert psnr(seen(given), seen(tmp_path / "out.mp4")) > 45
    rotations = []
    for path in (given, tmp_path / "out.mp4"):
        with av.open(str(path)) as container:
            rotations.append(next(container.decode(video=0)).rotation)
    assert rotations[0] == rotations[1] == options.get("rotation", 0)


def test_the_noise_level_changes_gently_but_with_the_scene(tmp_path, clip, monkeypatch):
    given, found = [], iter([10.0, 14.0, 10.0, 40.0])
    way = RestoreOptions("photo-denoise", device="cpu")
    restorer = restorer_of(way.model, "cpu", "auto", "float32")
    monkeypatch.setattr(restorer, "noise_levels", lambda *_: np.full((8, 12, 2), next(found), np.float32))
    monkeypatch.setattr(
        film, "restore_frame", lambda frame, way: given.append(way.noise.level.mean()) or DoneFrame(frame, None)
    )
    four = shoot(tmp_path / "four.mp4", 4, sound=False)
    assert restore_film(four, tmp_path / "out.mp4", way).error is None
    assert given == pytest.approx([10, 10.8, 0.8 * 10.8 + 0.2 * 10, 40], rel=1e-5)


def test_dark_scenes_are_restored_as_they_are_shown(way, tmp_path, monkeypatch):
    """Pictures that use few of 16 bits are stretched; stretching each frame by its own factor would flicker."""
    given = tmp_path / "night.mkv"
    with av.open(str(given), "w") as night:
        stream = night.add_stream("libx265", rate=25, options={"crf": "4", "x265-params": "log-level=none"})
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p10le"
        dark = np.random.default_rng(0).integers(0, 2000, (32, 32, 3), np.uint16)
        night.mux(stream.encode(av.VideoFrame.from_ndarray(dark, "rgb48le")))
        night.mux(stream.encode())
    restorer, brightest = restorer_of(way.model, "cpu", "auto", "float32"), []
    restore = restorer.restore
    monkeypatch.setattr(
        restorer, "restore", lambda x, *rest, **how: brightest.append(x.max()) or restore(x, *rest, **how)
    )
    assert restore_film(given, tmp_path / "out.mkv", way).error is None
    assert brightest
    assert max(brightest) < 8000


def test_what_is_refused(clip, way, tmp_path):
    with av.open(str(tmp_path / "song.mkv"), "w") as container:
        voice = container.add_stream("aac", rate=48000)
        voice.layout = "mono"
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 48000
        container.mux(voice.encode(silence))
        container.mux(voice.encode())
    assert "holds no film" in restore_film(tmp_path / "song.mkv", tmp_path / "a.mkv", way).error
    (tmp_path / "broken.mp4").write_bytes(clip.read_bytes()[:300])
    assert (
        "broken.mp4 cannot be restored as a film"
        in restore_film(tmp_path / "broken.mp4", tmp_path / "a.mp4", way).error
    )
    small = RestoreOptions(way.model, device="cpu", max_pixels=1000)
    assert "96x64 pixels, over the limit of 1000" in restore_film(clip, tmp_path / "a.mp4", small).error
    assert not list(tmp_path.glob("a.*"))


def test_where_films_go(clip, tmp_path):
    assert film_output(clip, None, False) == clip.with_name("clip-restored.mp4")
    assert film_output(tmp_path / "a.webm", None, False) == tmp_path / "a-restored.mkv"
    assert film_output(clip, tmp_path, False) == tmp_path / "clip.mp4"
    for output, words in ((tmp_path / "a.avi", "should end in one of .mp4"), (clip, "is the film itself")):
        with pytest.raises(LncaError, match=words):
            film_output(clip, output, overwrite=True)
    (tmp_path / "there.mp4").write_bytes(b"")
    with pytest.raises(LncaError, match="there.mp4 exists; add --overwrite"):
        film_output(clip, tmp_path / "there.mp4", False)


def test_the_command(command, refused, clip, way, tmp_path):
    there = tmp_path / "out.mp4"
    arguments = ("restore", clip, "--model", way.model, "-o", there)
    assert command(*arguments, "--dry-run")[1] == f"{clip} -> {there}\n"
    status, out, _ = command(*arguments)
    assert (status, out) == (0, f"{there}\n")
    assert "exists; add --overwrite" in refused(*arguments)
    assert "--compare is for pictures, not for films" in refused(*arguments, "--compare", tmp_path / "c.png")
    assert "does not exist" in refused("restore", tmp_path / "none.mp4", "--model", way.model)
