"""Videos of a rig as a recording: undistorted, cut, stamped, and what is refused."""

from fractions import Fraction
from pathlib import Path

import cv2
from fourd_perception.bag.reader import BagError, BagReader
from fourd_perception.bag.rig_file import read_rig, RigError
from fourd_perception.bag.rig_videos import make_bag, make_rectifier, START
from fourd_perception.wire.camera_info import camera_from_info
from fourd_perception.wire.images import decode_image
from fourd_perception.wire.stamps import stamp_of
from fourd_perception.wire.transforms import edges_of
import numpy as np
import pytest
import yaml

REAL = Path(__file__).parents[2].parent / 'shared/data/four_cameras_balance/rig.yaml'
DISTORTION = [-0.25, 0.08, 0.002, -0.001, 0.0]
SIZES = {'one': (160, 120), 'two': (96, 128)}
TURN = [0.0, -1, 0, 1, 0, 0, 0, 0, 1]


def colours(rays: np.ndarray, frame: int, grey: bool) -> np.ndarray:
    """What a far wall looks like in the directions (x, y, 1), uint8 [..., 3] BGR."""
    x, y = rays[..., 0], rays[..., 1]
    waves = [np.sin(9 * x + 0.2 * frame), np.cos(7 * y), np.sin(6 * (x + y))]
    if grey:
        waves = [waves[0]] * 3
    return np.stack([np.round(120 + 70 * wave) for wave in waves], axis=-1).astype(np.uint8)


def pixels(width: int, height: int) -> np.ndarray:
    return np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(float)


def write_video(path: Path, name: str, entry: dict, frames: int, fps: float) -> None:
    """Raw images of the wall through the distorting lens of one camera."""
    matrix = np.array(entry['camera_matrix'], float).reshape(3, 3)
    raw = pixels(entry['width'], entry['height'])
    rays = cv2.undistortPoints(
        raw.reshape(-1, 1, 2), matrix, np.array(entry['distortion'])
    ).reshape(raw.shape)
    size = entry['width'], entry['height']
    # Lossless: FFV1 keeps every level that the test looks at.
    video = cv2.VideoWriter(str(path / entry['video']), cv2.VideoWriter_fourcc(*'FFV1'), fps, size)
    assert video.isOpened()
    for n in range(frames):
        video.write(colours(rays, n, grey=name == 'two'))
    video.release()


def entry(name: str, x: float) -> dict:
    width, height = SIZES[name]
    focal = 0.9 * max(width, height)
    return {
        'video': f'{name}.avi',
        'width': width,
        'height': height,
        'camera_matrix': [focal, 0, width / 2 + 1, 0, 1.01 * focal, height / 2 - 2, 0, 0, 1],
        'distortion': DISTORTION,
        'rotation': TURN,
        'translation': [x, 0.5, 1.5],
    }


@pytest.fixture
def rig(tmp_path):
    """A rig file with a colour camera `one` and a grey camera `two`, ten frames of 7 Hz."""
    cameras = {'one': entry('one', 0.0), 'two': entry('two', 1.0)}
    for name, camera in cameras.items():
        write_video(tmp_path, name, camera, 10, 7)
    path = tmp_path / 'rig.yaml'
    path.write_text(yaml.safe_dump({'cameras': cameras}))
    return path


def change(rig: Path, camera: str, **fields) -> None:
    """Change entries of one camera of a rig file; None takes an entry out."""
    content = yaml.safe_load(rig.read_text())
    content['cameras'][camera].update(fields)
    for key in [key for key, value in fields.items() if value is None]:
        del content['cameras'][camera][key]
    rig.write_text(yaml.safe_dump(content))


def decoded(bag: Path) -> dict[str, list]:
    with BagReader(bag) as reader:
        out: dict[str, list] = {topic: [] for topic in reader.topics}
        for topic, _, data in reader.messages():
            out[topic].append(reader.decode(topic, data))
        return out


@pytest.mark.parametrize('longest_side', [None, 80])
def test_a_rectified_pixel_shows_what_lies_in_its_direction(rig, tmp_path, longest_side):
    """The slow way: the wall itself, looked up in the direction that CameraInfo gives a pixel."""
    make_bag(rig, tmp_path / 'bag', longest_side=longest_side)
    messages = decoded(tmp_path / 'bag')
    for name, (width, height) in SIZES.items():
        camera = camera_from_info(messages[f'/{name}/camera_info'][4], name)
        scale = 1.0 if longest_side is None else longest_side / max(width, height)
        assert (camera.width, camera.height) == (round(scale * width), round(scale * height))
        homogeneous = np.dstack(
            [pixels(camera.width, camera.height), np.ones((camera.height, camera.width))]
        )
        rays = homogeneous @ np.linalg.inv(camera.intrinsics).T
        wanted = colours(rays, 4, grey=name == 'two')[..., ::-1].astype(int)
        found = decode_image(messages[f'/{name}/image_rect'][4]).astype(int)
        error = np.abs(found - wanted)
        # Interpolation and averaging blunt the waves a little; half a pixel off would be 4 levels.
        assert error.mean() < 1.2 and error.max() <= 8, name


def test_no_rectified_pixel_looks_beside_the_video(rig):
    for camera in read_rig(rig):
        rectifier = make_rectifier(camera, None)
        assert rectifier.map_x.min() > -0.51 and rectifier.map_x.max() < camera.width - 0.49
        assert rectifier.map_y.min() > -0.51 and rectifier.map_y.max() < camera.height - 0.49


def test_grey_videos_are_sent_as_mono8_and_others_in_colour(rig, tmp_path):
    make_bag(rig, tmp_path / 'bag')
    messages = decoded(tmp_path / 'bag')
    assert {m.encoding for m in messages['/one/image_rect']} == {'bgr8'}
    assert {m.encoding for m in messages['/two/image_rect']} == {'mono8'}


def test_stamps_follow_the_frame_rate_without_adding_up_errors(rig, tmp_path):
    make_bag(rig, tmp_path / 'bag')
    messages = decoded(tmp_path / 'bag')
    wanted = [START + n * 10**9 // 7 for n in range(10)]
    assert wanted[7] == START + 10**9
    for name in SIZES:
        for topic in ('image_rect', 'camera_info'):
            assert [stamp_of(m.header) for m in messages[f'/{name}/{topic}']] == wanted


def test_the_rate_of_television_is_no_decimal_number(rig, tmp_path):
    make_bag(rig, tmp_path / 'bag', rate=Fraction(30000, 1001))
    stamps = [stamp_of(m.header) for m in decoded(tmp_path / 'bag')['/one/image_rect']]
    assert stamps[9] == START + 300_300_000 and stamps[1] == START + 33_366_666


def test_frames_can_be_left_out_and_the_rate_be_given(rig, tmp_path):
    make_bag(rig, tmp_path / 'bag', every=3, seconds=0.8, rate=Fraction(10))
    messages = decoded(tmp_path / 'bag')
    stamps = [stamp_of(m.header) - START for m in messages['/two/image_rect']]
    assert stamps == [0, 300_000_000, 600_000_000]
    # The picture is that of its stamp: frame 6, not the third one.
    first, last = (decode_image(messages['/one/image_rect'][n]).astype(int) for n in (0, 2))
    assert np.abs(first - last).mean() > 5


def test_the_cameras_stand_in_the_room(rig, tmp_path):
    make_bag(rig, tmp_path / 'bag', frame='studio')
    (message,) = decoded(tmp_path / 'bag')['/tf_static']
    edges = edges_of(message)
    assert [(e.parent, e.child) for e in edges] == [
        ('studio', 'one_optical_frame'),
        ('studio', 'two_optical_frame'),
    ]
    pose = edges[1].parent_from_child
    np.testing.assert_allclose(pose[:3, :3].ravel(), TURN, atol=1e-12)
    np.testing.assert_allclose(pose[:3, 3], [1.0, 0.5, 1.5])


@pytest.mark.parametrize(
    ('fields', 'words'),
    [
        ({'video': 'absent.avi'}, ['two', 'absent.avi', 'does not exist']),
        ({'video': None}, ['two', '`video`', 'missing']),
        ({'distortion': [0.1, 0.2]}, ['two', '`distortion`', '[0.1, 0.2]', '5 finite']),
        ({'translation': ['a', 1, 2]}, ['two', '`translation`', '3 finite']),
        ({'rotation': [1.0, 0, 0, 0, 1, 0, 0, 0, 1.1]}, ['two', '`rotation`', '0.1', '0.001']),
        ({'camera_matrix': [0.0] * 9}, ['two', 'focal lengths 0, 0']),
        ({'width': 100}, ['two', '96x128', '100x128']),
    ],
)
def test_a_rig_file_that_does_not_fit_is_refused_by_camera_and_entry(rig, tmp_path, fields, words):
    change(rig, 'two', **fields)
    with pytest.raises(RigError) as caught:
        make_bag(rig, tmp_path / 'bag')
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert not (tmp_path / 'bag').exists()


def test_a_file_that_is_no_rig_is_refused(tmp_path):
    rig = tmp_path / 'rig.yaml'
    with pytest.raises(RigError, match='cannot read'):
        make_bag(rig, tmp_path / 'bag')
    for text, words in {'{': 'not YAML', 'a: 1': 'no cameras', 'cameras: {one: 3}': 'one'}.items():
        rig.write_text(text)
        with pytest.raises(RigError, match=words):
            make_bag(rig, tmp_path / 'bag')


def test_a_file_that_is_no_video_is_refused(rig, tmp_path):
    (tmp_path / 'two.avi').write_bytes(b'no video at all')
    with pytest.raises(RigError, match=r'cannot read the video .*two\.avi'):
        make_bag(rig, tmp_path / 'bag')


def test_videos_that_are_not_synchronous_are_refused(rig, tmp_path):
    camera = yaml.safe_load(rig.read_text())['cameras']['two']
    write_video(tmp_path, 'two', camera, 8, 7)
    with pytest.raises(RigError, match='one 10, two 8 frames'):
        make_bag(rig, tmp_path / 'bag')
    write_video(tmp_path, 'two', camera, 10, 25)
    with pytest.raises(RigError, match='one 7, two 25 frames per second'):
        make_bag(rig, tmp_path / 'bag')


def test_options_out_of_range_are_refused(rig, tmp_path):
    for options in ({'every': 0}, {'seconds': 0.0}, {'longest_side': 3}):
        with pytest.raises(RigError, match=str(*options.values())):
            make_bag(rig, tmp_path / 'bag', **options)
    make_bag(rig, tmp_path / 'bag', every=5)
    with pytest.raises(BagError, match='choose another name'):
        make_bag(rig, tmp_path / 'bag', every=5)


@pytest.mark.skipif(not REAL.is_file(), reason=f'needs the real recording {REAL}')
def test_four_real_cameras_become_a_recording(tmp_path):
    make_bag(REAL, tmp_path / 'bag', longest_side=480, every=3, seconds=0.2)
    messages = decoded(tmp_path / 'bag')
    rig = yaml.safe_load(REAL.read_text())['cameras']
    edges = {edge.child: edge for edge in edges_of(messages['/tf_static'][0])}
    for name, entry in rig.items():
        images = messages[f'/{name}/image_rect']
        assert [stamp_of(m.header) - START for m in images] == [
            0,
            50_000_000,
            100_000_000,
            150_000_000,
        ]
        camera = camera_from_info(messages[f'/{name}/camera_info'][0], name)
        assert (images[0].width, images[0].height) == (camera.width, camera.height)
        assert (camera.width, camera.height) == (round(entry['width'] / 4), 480)
        # A mild lens: the new focal lengths are near the old ones, a quarter of their size.
        assert camera.intrinsics[0, 0] == pytest.approx(entry['camera_matrix'][0] / 4, rel=0.02)
        pose = edges[f'{name}_optical_frame'].parent_from_child
        np.testing.assert_allclose(pose[:3, :3].ravel(), entry['rotation'], atol=1e-6)
        np.testing.assert_allclose(pose[:3, 3], entry['translation'])
        assert decode_image(images[0]).std() > 30
