"""Every data set that tonic 1.7 has, from tiny archives in its layout; no network."""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import struct
import tarfile
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest

from spikelab.errors import FormatError, ShapeError, UnsupportedError
from spikelab.events import Events, Recordings, nmnist, read, shd
from spikelab.events.dataset import dataset
from spikelab.events.published import archives, open_published

ROOT = Path(__file__).resolve().parents[2]
DAVIS = ROOT / "datasets" / "recordings" / "davis346.aedat4"
CARDS = ROOT / "spikelab" / "data"
TONIC = {  # tonic.datasets.__all__, and our names
    name: {"ThreeET_Eyetracking": "threeet-eyetracking"}.get(name, name.lower())
    for name in (
        *(
            "ASLDVS",
            "CIFAR10DVS",
            "DAVISDATA",
            "DSEC",
            "DVSGesture",
            "DVSLip",
            "EBSSA",
            "MVSEC",
            "NCALTECH101",
            "NERDD",
        ),
        *("NERDD", "NMNIST", "NTIDIGITS18", "POKERDVS", "SHD", "SMNIST", "SSC", "ThreeET_Eyetracking", "TUMVIE", "VPR"),
    )
}


def card_of(name: str) -> dict[str, Any]:
    return tomllib.loads((CARDS / f"{name}.toml").read_text(encoding="utf-8"))


def make(shape: tuple[int, ...], seed: int = 0, unit: int = 1) -> Events:
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(0, 5000, 40)) * unit
    x, y, p = rng.integers(0, shape[0], 40), rng.integers(0, shape[-1], 40), rng.integers(0, 2, 40)
    return Events.from_columns(t, x, y, p, shape=shape) if len(shape) == 2 else Events.from_columns(t, x, shape=shape)


def npy(array: np.ndarray) -> bytes:
    held = io.BytesIO()
    np.save(held, array)
    return held.getvalue()


def columns(events: Events, order: str) -> np.ndarray:
    return np.stack([events.array[name].astype(np.int64) for name in order], 1)


def through(write_to: Callable[[Path], None], tmp_path: Path, suffix: str) -> bytes:
    path = tmp_path / f"made{suffix}"
    write_to(path)
    data = path.read_bytes()
    path.unlink()
    return data


def packed(name: str, files: dict[str, bytes]) -> bytes:
    held = io.BytesIO()
    if name.endswith(".zip"):
        with zipfile.ZipFile(held, "w") as archive:
            for member, data in files.items():
                archive.writestr(member, data)
    else:
        with tarfile.open(fileobj=held, mode="w:gz") as tar:
            for member, data in files.items():
                info = tarfile.TarInfo(member)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return held.getvalue()


def field(name: bytes, value: bytes) -> bytes:
    return struct.pack("<I", len(name) + 1 + len(value)) + name + b"=" + value


def record(data: bytes, **fields: bytes) -> bytes:
    head = b"".join(field(name.encode(), value) for name, value in fields.items())
    return struct.pack("<I", len(head)) + head + struct.pack("<I", len(data)) + data


def bag(topics: dict[str, Events], packing: str = "none") -> bytes:
    """A ROS 1 bag with one chunk: two messages of each topic."""
    import bz2

    import lz4.frame

    chunk = tail = index = b""
    for number, (topic, events) in enumerate(topics.items()):
        conn = struct.pack("<I", number)
        kind = field(b"topic", topic.encode()) + field(b"type", b"dvs_msgs/EventArray") + field(b"md5sum", b"0" * 32)
        kind += field(b"message_definition", b"Header header\nuint32 height\nuint32 width\nEvent[] events\n")
        known = record(kind, op=b"\x07", conn=conn, topic=topic.encode())
        chunk, tail = chunk + known, tail + known  # a bag has them twice
        for part in (events.array[:20], events.array[20:]):
            body = struct.pack("<III", 1, 2, 3) + struct.pack("<I", 3) + b"cam"
            body += struct.pack("<III", events.shape[1], events.shape[0], len(part))
            for e in part:
                us = int(e["t"]) + 1_500_000_000_000_000
                body += struct.pack("<HHIIB", e["x"], e["y"], us // 10**6, us % 10**6 * 1000, int(e["p"]))
            index += record(
                struct.pack("<qI", 0, len(chunk)), op=b"\x04", ver=b"\1\0\0\0", conn=conn, count=b"\1\0\0\0"
            )
            chunk += record(body, op=b"\x02", conn=conn, time=struct.pack("<II", 1_500_000_000, 0))
    data = {"none": chunk, "bz2": bz2.compress(chunk), "lz4": lz4.frame.compress(chunk)}[packing]
    whole = record(data, op=b"\x05", compression=packing.encode(), size=struct.pack("<I", len(chunk)))
    start = record(
        b" " * 10, op=b"\x03", index_pos=struct.pack("<Q", 0), conn_count=b"\1\0\0\0", chunk_count=b"\1\0\0\0"
    )
    return b"#ROSBAG V2.0\n" + start + whole + index + tail


def mat(columns: dict[str, np.ndarray]) -> bytes:
    from scipy.io import savemat

    held = io.BytesIO()
    savemat(held, columns, do_compression=True)
    return held.getvalue()


def dsec(events: Events) -> Callable[[Path], None]:
    def write_to(path: Path) -> None:
        with h5py.File(path, "w") as file:
            for name in "txyp":
                file.create_dataset(f"events/{name}", data=events.array[name], **hdf5plugin.Blosc(cname="zstd"))
            file["t_offset"] = 0

    return write_to


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape) + array.tobytes()


def archive_of(name: str, tmp_path: Path, one: Events) -> dict[str, dict[str, bytes] | bytes]:
    """Contents of each archive of a set (by its path), a dict to be packed or the bytes of the file."""
    saccade = (
        through(lambda path: nmnist.write(one, path), tmp_path, ".bin") if name in ("nmnist", "ncaltech101") else b""
    )
    match name:
        case "nmnist":
            return {f"{s}.zip": {f"{s.title()}/{d}/0000{d}.bin": saccade for d in (0, 7)} for s in ("train", "test")}
        case "ncaltech101":
            inner = packed("x.zip", {f"Caltech101/{c}/image_0001.bin": saccade for c in ("ant", "crab")})
            return {"N-Caltech101-archive.zip": {"Caltech101.zip": inner}}
        case "asldvs":
            flipped = {
                "ts": one.t[:, None],
                "x": one.x[:, None],
                "y": 179 - one.y[:, None].astype(int),
                "pol": one.p * 1,
            }
            inner = packed("x.zip", {"Yin1/a/a_0001.mat": mat(flipped), "Yin1/c/c_0001.mat": mat(flipped)})
            return {"ASLDVS.zip": {"Yin1.zip": inner}}
        case "cifar10dvs":
            aedat = DAVIS.read_bytes()
            return {
                "CIFAR10DVS.zip": {
                    f"{c}.zip": packed("x.zip", {f"{c}/cifar10_{c}_0.aedat4": aedat}) for c in ("cat", "dog")
                }
            }
        case "dvsgesture":
            data = npy(columns(one, "xypt") // [1, 1, 1, 1000])
            return {
                f"ibmGesture{s}.tar.gz": {f"ibmGesture{s}/user01_led/{k}.npy": data for k in (0, 10)}
                for s in ("Train", "Test")
            }
        case "dvslip":
            return {
                "DVS-Lip.zip": {
                    f"DVS-Lip/{s}/{w}/0.npy": npy(one.array) for s in ("train", "test") for w in ("action", "years")
                }
            }
        case "pokerdvs":
            return {
                f"pips_{s}.tar.gz": {f"pips_{s}/{c}/0.npy": npy(columns(one, "txyp")) for c in ("cl", "sp")}
                for s in ("train", "test")
            }
        case "shd" | "ssc":
            set_ = Recordings.of([one, one], [0, 1], ("zero", "null"), {"speaker": np.array([1, 2])})
            data = through(lambda path: shd.write(set_, path), tmp_path, ".h5")
            parts = ("train", "test") if name == "shd" else ("train", "valid", "test")
            return {f"{name}_{p}.h5.zip": {f"{name}_{p}.h5": data} for p in parts}
        case "smnist":
            rng, files = np.random.default_rng(0), {}
            for pre in ("train", "t10k"):
                files[f"{pre}-images-idx3-ubyte.gz"] = gzip.compress(
                    idx(rng.integers(0, 256, (2, 28, 28)).astype(np.uint8))
                )
                files[f"{pre}-labels-idx1-ubyte.gz"] = gzip.compress(idx(np.array([4, 9], np.uint8)))
            return files  # type: ignore[return-value]
        case "ntidigits18":

            def spoken(path: Path) -> None:
                with h5py.File(path, "w") as file:
                    for part in ("train", "test"):
                        names = ["man-ae-a-5", "man-ae-b-o12"]
                        file[f"{part}_labels"] = np.array([n.encode() for n in names])
                        for n in names:
                            file[f"{part}_addresses/{n}"], file[f"{part}_timestamps/{n}"] = one.x, one.t / 1e6

            return {"n-tidigits.hdf5": through(spoken, tmp_path, ".h5")}
        case "ebssa":

            def sky(path: Path) -> None:
                with h5py.File(path, "w") as file:
                    for key in ("r1", "r2"):
                        values = {"ts": one.t + 77 - one.t[0], "x": one.x + 1, "y": one.y + 1, "p": one.p * 1}
                        for n, v in values.items():
                            file[f"{key}/TD/{n}"] = np.asarray(v)[None].astype(float)

            return {"labelled_ebssa.h5": through(sky, tmp_path, ".h5")}
        case "threeet-eyetracking":

            def eye(path: Path) -> None:
                with h5py.File(path, "w") as file:
                    file["events"] = columns(one, "txyp")

            data = through(eye, tmp_path, ".h5")
            files = {"train_files.txt": b"a\n", "val_files.txt": b"b\n", "data/a.h5": data, "data/b.h5": data}
            return {"ThreeET_Eyetracking.zip": files}
        case "nerdd":
            held = io.BytesIO()
            np.savez(held, data=columns(one, "xypt"))
            return {"NeRDD.zip": {f"DATA/archive_1/{k}/Event/output_events.npz": held.getvalue() for k in (0, 1)}}
        case "davisdata":
            return {f"{r}.bag": bag({"/dvs/events": one}, p) for r, p in (("slider_far", "lz4"), ("urban", "bz2"))}
        case "vpr":
            return {"dvs_vpr_2020-04-21-17-03-03.bag": bag({"/dvs/events": one})}
        case "mvsec":
            topics = {"/davis/left/events": one, "/davis/right/events": one}
            return {"motorcycle/motorcycle_data.bag": bag(topics)}
        case "dsec":
            data = through(dsec(one), tmp_path, ".h5")
            return {f"thun_00_a/events_{s}/thun_00_a_events_{s}.zip": {"events.h5": data} for s in ("left", "right")}
        case "tumvie":
            data = through(dsec(one), tmp_path, ".h5")
            return {f"slide/slide-events_{s}.h5": data for s in ("left", "right")}
    raise AssertionError(name)


def lay(name: str, tmp_path: Path, folder: Path) -> tuple[dict[str, Any], Events]:
    """Write the archives of a set into a folder; its card with their checksums, and the events of each recording."""
    card = card_of(name)
    one = make(
        tuple(card["sensor"]["shape"]) if name != "ncaltech101" else (200, 180),
        unit=1000 if name == "dvsgesture" else 1,
    )
    if name == "cifar10dvs":
        if not DAVIS.is_file():
            pytest.skip("datasets/ is not here: this is no checkout")
        card["sensor"]["shape"], one = [346, 260], read(DAVIS)  # a real file of another camera
    sums = {}
    for path, content in archive_of(name, tmp_path, one).items():
        data = content if isinstance(content, bytes) else packed(path, content)
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
        sums[path] = hashlib.md5(data).hexdigest()
    for archive in card["archives"]:
        if "each" not in archive:
            archive["checksum"] = sums[archive["path"]] if archive.get("checksum") else ""
        else:
            archive["each"] = {n: sums.get(archive["path"].replace("{}", n), c) for n, c in archive["each"].items()}
    return card, one


def test_every_set_of_tonic_has_a_card() -> None:
    theirs = pytest.importorskip("tonic.datasets")
    assert set(theirs.__all__) == set(TONIC)
    for cls, name in TONIC.items():
        card = card_of(name)
        size = getattr(getattr(theirs, cls), "sensor_size", None)
        if size:
            assert tuple(card["sensor"]["shape"]) == size[: len(card["sensor"]["shape"])], name


@pytest.mark.parametrize("name", TONIC.values())
def test_archives_are_unpacked_and_read(name: str, tmp_path: Path) -> None:
    card, one = lay(name, tmp_path, tmp_path / "root" / card_of(name)["folder"])
    found, folder = open_published(card, [tmp_path / "root"], None, False)
    assert folder == tmp_path / "root" / card["folder"]
    assert len(found) >= (1 if name == "vpr" else 2)
    if name == "smnist":
        assert len(found) == 4 and found.labels.tolist() == [4, 9, 4, 9] and len(found[0])
        return
    shift = int(one.t[0]) if name in ("davisdata", "vpr", "mvsec", "ebssa") else 0
    for events in found:
        assert np.array_equal(events.t, one.t - shift) and np.array_equal(events.x, one.x)
        if len(events.shape) == 2:
            assert np.array_equal(events.y, one.y) and np.array_equal(events.p, one.p)
    wanted = {
        "nmnist": ["0", "7"] * 2,
        "ncaltech101": ["ant", "crab"],
        "asldvs": ["a", "c"],
        "cifar10dvs": ["cat", "dog"],
        "dvsgesture": ["Hand clapping", "Other gestures"] * 2,
        "dvslip": ["action", "years"] * 2,
        "pokerdvs": ["cl", "sp"] * 2,
        "shd": ["zero", "null"] * 2,
        "ssc": ["zero", "null"] * 3,
        "ntidigits18": ["5", "several"] * 2,
    }
    if name in wanted:
        assert [found.classes[k] for k in found.labels] == wanted[name]
        splits = set(found.metadata["split"].tolist())
        assert splits == ({"train", "test"} if name != "ssc" else {"train", "valid", "test"}) or splits == {"none"}
    again, _ = open_published(card, [tmp_path / "root"], None, False)
    assert again.labels.tolist() == found.labels.tolist()


def test_a_real_sample_of_nmnist_by_name(tmp_path: Path) -> None:
    sample = ROOT / "datasets" / "recordings" / "nmnist.bin"
    if not sample.is_file():
        pytest.skip("datasets/ is not here: this is no checkout")
    for part in ("Train", "Test"):
        (tmp_path / "NMNIST" / part / "5").mkdir(parents=True)
        shutil.copy(sample, tmp_path / "NMNIST" / part / "5" / "00001.bin")
    found = dataset("nmnist", root=tmp_path)
    assert (len(found.train), len(found.test), len(found.test[0])) == (1, 1, 4325)
    assert found.recordings.labels.tolist() == [5, 5] and len(found.recordings.classes) == 10
    train, test = found.frames(dt="10 ms")
    assert train.shape == (2, 34, 34) and np.array_equal(train[0][0], test[0][0])
    assert len(dataset("nmnist", root=tmp_path, parts=["test"]).recordings) == 1


def test_missing_parts_are_fetched_and_checked(tmp_path: Path) -> None:
    card, _ = lay("nmnist", tmp_path, tmp_path / "mirror")
    for archive in card["archives"]:
        archive["urls"] = [(tmp_path / "none.zip").as_uri(), (tmp_path / "mirror" / archive["path"]).as_uri()]
    with pytest.raises(FormatError, match=r"found no files of data set 'nmnist'.*download=True"):
        open_published(card, [tmp_path / "root"], None, False)
    found, folder = open_published(card, [tmp_path / "root"], ["test"], True)
    assert len(found) == 2 and sorted(p.name for p in folder.iterdir()) == ["test.zip", "test.zip.unpacked"]
    card["archives"][0]["checksum"] = "0" * 32
    with pytest.raises(FormatError, match=r"could not be downloaded.*none.zip.*found md5"):
        open_published(card, [tmp_path / "root"], None, True)


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    card, _ = lay("pokerdvs", tmp_path, tmp_path)
    data = bytearray((tmp_path / "pips_test.tar.gz").read_bytes())
    data[-20] ^= 1
    (tmp_path / "pips_test.tar.gz").write_bytes(data)
    with pytest.raises(FormatError, match="found md5"):
        open_published(card, [tmp_path], None, False)
    (tmp_path / "pips_test.tar.gz").write_bytes(packed("x.tar.gz", {"other/1": b""}))
    card["archives"][1]["checksum"] = ""
    with pytest.raises(FormatError, match="found no pips_test in it"):
        open_published(card, [tmp_path], None, False)


def test_whole_sets_of_long_recordings_are_not_fetched_by_accident(tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match=r"pass parts=\['boxes_6dof'\]"):
        dataset("davisdata", root=tmp_path, download=True)
    with pytest.raises(UnsupportedError, match="did you mean 'slider_far'"):
        dataset("davisdata", root=tmp_path, parts=["slider_fare"])
    with pytest.raises(FormatError, match="with a browser from"):
        dataset("dvslip", root=tmp_path, download=True)
    with pytest.raises(UnsupportedError, match="leave them out"):
        dataset("fsdd-spikes-mini", download=True)


def test_the_spikes_of_smnist_are_those_of_tonic(tmp_path: Path) -> None:
    tonic = pytest.importorskip("tonic")
    lay("smnist", tmp_path, tmp_path / "smnist")
    for path in (tmp_path / "smnist").glob("*.gz"):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
    ours = dataset("smnist", root=tmp_path)
    theirs = tonic.datasets.SMNIST(str(tmp_path), train=True)
    for k, events in enumerate(ours.train):
        expected, label = theirs[k]
        order = np.lexsort((expected["x"], expected["t"]))
        mine = np.lexsort((events.x, events.t))
        assert np.array_equal(events.t[mine], expected["t"][order]) and np.array_equal(
            events.x[mine], expected["x"][order]
        )
        assert ours.train.labels[k] == label


def test_bags_are_those_of_importrosbag(tmp_path: Path) -> None:
    module = pytest.importorskip("importRosbag.importRosbag")
    from spikelab.events import rosbag1

    one = make((240, 180))
    (tmp_path / "a.bag").write_bytes(bag({"/dvs/events": one}))
    ours = rosbag1.read(tmp_path / "a.bag", "/dvs/events")
    try:
        theirs = module.importRosbag(str(tmp_path / "a.bag"), log="ERROR")["/dvs/events"]
    except OverflowError:  # importRosbag 1.0.4 multiplies uint8 by 256, which NumPy 2 refuses
        return
    assert np.array_equal(ours.x, theirs["x"]) and np.array_equal(ours.p, theirs["pol"])
    # importRosbag has seconds in float64: good to a microsecond of the year 2017.
    assert np.abs(ours.t - (theirs["ts"] - theirs["ts"][0]) * 1e6).max() < 1


def test_damaged_bags_and_matlab_files_are_refused(tmp_path: Path) -> None:
    from spikelab.events import rosbag1
    from spikelab.events.matlab_variables import read_variables

    data = bag({"/dvs/events": make((240, 180))}, "lz4")
    rng, path = np.random.default_rng(0), tmp_path / "a.bag"
    matlab = mat({"ts": np.arange(50), "x": np.arange(50) % 7})
    for whole, reader in ((data, lambda: rosbag1.read(path, "/dvs/events")), (matlab, lambda: read_variables(path))):
        for k in range(150):
            damaged = bytearray(whole[: rng.integers(1, len(whole))] if k % 3 == 0 else whole)
            for place in rng.integers(0, len(damaged), k % 3):
                damaged[place] ^= 1 << int(rng.integers(8))
            path.write_bytes(damaged)
            try:
                reader()
            except FormatError:
                continue
    path.write_bytes(data)
    with pytest.raises(FormatError, match=r"topics are /dvs/events"):
        rosbag1.read(path, "/events")


def test_unknowns_are_said_and_checksums_have_their_form() -> None:
    for name in TONIC.values():
        card = card_of(name)
        assert card["licence"] in ("unknown", "CC-BY-4.0", "CC-BY-SA-4.0", "CC-BY-SA-3.0")
        assert (card["licence"] == "unknown") == (card["licence_url"] == "unknown")
        if name in ("dvsgesture", "ncaltech101", "nmnist", "shd", "ssc"):  # seen where their authors say it
            assert "the licence is stated on http" in card["attribution"] and card["licence"].startswith("CC-BY-")
        for one in archives(card):
            assert len(one["checksum"]) in (0, 32, 64) and one["part"]
            assert one["urls"] or card["manual"]
