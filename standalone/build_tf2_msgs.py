"""Build `tf2_msgs` into the Python environment that runs this script.

PyPI has no tf2_msgs, yet /tf and /tf_static speak it. Its one interface is generated here from
`tf2_msgs/msg/TFMessage.msg` by the rosidl generators that come with the rclpy wheels, in the
order in which ROS' own CMake rules call them, and compiled into one extension module. Type name
and type hash are therefore the real ones: a `/tf` listener of any distribution understands us.

    python standalone/build_tf2_msgs.py            # does nothing when tf2_msgs is importable
    python standalone/build_tf2_msgs.py --force

Needs cc, c++, Python's headers, and the packages pinned in `requirements/`.
"""

import contextlib
import io
import json
import os
from pathlib import Path
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile

PACKAGE = 'tf2_msgs'
SOURCE = Path(__file__).resolve().parent / PACKAGE
INTERFACE = Path('msg/TFMessage.msg')
# The hash of tf2_msgs/msg/TFMessage in every distribution that has type hashes (Iron and later).
TYPE_HASH = 'RIHS01_e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087'

PREFIX = Path(sys.prefix)
SITE_PACKAGES = Path(sysconfig.get_path('platlib'))
MODULE = f'{PACKAGE}_s__rosidl_typesupport_c.so'
# Fast DDS serialises with the first; Jazzy's describes the type to others with the second.
TYPE_SUPPORTS = ('rosidl_typesupport_fastrtps_c', 'rosidl_typesupport_introspection_c')
LIBRARIES = (
    'geometry_msgs__rosidl_generator_py',
    'geometry_msgs__rosidl_generator_c',
    'geometry_msgs__rosidl_typesupport_fastrtps_c',
    'geometry_msgs__rosidl_typesupport_introspection_c',
    'std_msgs__rosidl_generator_c',
    'builtin_interfaces__rosidl_generator_c',
    'rosidl_typesupport_c',
    'rosidl_typesupport_fastrtps_c',
    'rosidl_typesupport_fastrtps_cpp',
    'rosidl_typesupport_introspection_c',
    'rosidl_runtime_c',
    'rcutils',
    'rmw',
    'fastcdr',
)


def main() -> None:
    """Generate, compile, install; leave an importable tf2_msgs alone unless told otherwise."""
    if '--force' not in sys.argv[1:] and importable():
        return
    with tempfile.TemporaryDirectory(prefix=f'{PACKAGE}-') as scratch:
        generated = Path(scratch) / PACKAGE
        generate(generated)
        compile_module(generated)
        install(generated)
    if not importable():
        sys.exit(f'{PACKAGE} was built into {SITE_PACKAGES}, but does not import.')
    print(f'{PACKAGE} built into {SITE_PACKAGES}')


def importable() -> bool:
    """Tell whether a new interpreter can import the message with its type support."""
    probe = f'from {PACKAGE}.msg import TFMessage as m; m.__import_type_support__()'
    probe += '; assert m._TYPE_SUPPORT'
    return subprocess.run([sys.executable, '-c', probe], capture_output=True).returncode == 0


def generate(out: Path) -> None:
    """Write the C, C++ and Python sources of the interface to `out`.

    The `rosidl generate` command is not used: it stumbles over entry points that the wheels
    register twice.
    """
    from rosidl_adapter.msg import convert_msg_to_idl
    from rosidl_generator_c import generate_c
    from rosidl_generator_py import generate_py
    from rosidl_generator_type_description import generate_type_hash
    from rosidl_typesupport_c import generate_c as generate_typesupport_c
    from rosidl_typesupport_fastrtps_c import generate_typesupport_fastrtps_c
    from rosidl_typesupport_introspection_c import generate_c as generate_introspection_c

    (out / 'msg').mkdir(parents=True)
    with contextlib.redirect_stdout(io.StringIO()):
        convert_msg_to_idl(SOURCE, PACKAGE, INTERFACE, out / 'msg')
    generate_type_hash(arguments(out, 'rosidl_generator_type_description'))
    description = json.loads((out / INTERFACE.with_suffix('.json')).read_text())
    found = description['type_hashes'][0]['hash_string']
    if found != TYPE_HASH:
        sys.exit(f'{SOURCE / INTERFACE} has type hash {found}; the real one is {TYPE_HASH}.')
    generate_c(arguments(out, 'rosidl_generator_c'))
    generate_typesupport_fastrtps_c(arguments(out, 'rosidl_typesupport_fastrtps_c'))
    generate_introspection_c(arguments(out, 'rosidl_typesupport_introspection_c'))
    generate_typesupport_c(arguments(out, 'rosidl_typesupport_c'), TYPE_SUPPORTS)
    generate_py(arguments(out, 'rosidl_generator_py'), ['rosidl_typesupport_c'])
    (out / '__init__.py').touch()
    for generator in ('rosidl_generator_c', *TYPE_SUPPORTS):
        name = f'{generator}__visibility_control.h'
        template = (PREFIX / 'share' / generator / 'resource' / f'{name}.in').read_text()
        header = template.replace('@PROJECT_NAME@', PACKAGE)
        header = header.replace('@PROJECT_NAME_UPPER@', PACKAGE.upper())
        (out / 'msg' / name).write_text(header)


def arguments(out: Path, generator: str) -> str:
    """Write the arguments file that the generators' functions read; return its path."""
    share = PREFIX / 'share'
    idl = INTERFACE.with_suffix('.idl')
    path = out / f'{generator}__arguments.json'
    content = {
        'package_name': PACKAGE,
        'output_dir': str(out),
        'template_dir': str(share / generator / 'resource'),
        'idl_tuples': [f'{out}:{idl}'],
        'ros_interface_files': [str(SOURCE / INTERFACE)],
        'ros_interface_dependencies': [
            f'{file.parents[1].name}:{file}' for file in share.glob('*/msg/*.idl')
        ],
        'include_paths': [f'{folder.name}:{folder}' for folder in share.iterdir()],
        'type_description_tuples': [f'{idl}:{out / INTERFACE.with_suffix(".json")}'],
        'target_dependencies': [],
    }
    path.write_text(json.dumps(content))
    return str(path)


def compile_module(out: Path) -> None:
    """Compile everything in `out` into the one extension module that rclpy looks for."""
    import numpy

    headers = PREFIX / 'include'
    include = [out.parent, headers, *(folder for folder in headers.iterdir() if folder.is_dir())]
    include += [sysconfig.get_path('include'), numpy.get_include()]
    flags = ['-O2', '-fPIC', '-w', *(f'-I{folder}' for folder in include)]
    c, cxx = shlex.split(os.environ.get('CC', 'cc')), shlex.split(os.environ.get('CXX', 'c++'))
    objects = []
    for source in (*out.rglob('*.c'), *out.rglob('*.cpp')):
        compiler = c if source.suffix == '.c' else [*cxx, '-std=c++17']
        objects.append(f'{source}.o')
        run([*compiler, *flags, '-c', str(source), '-o', objects[-1]])
    # The libraries are found at run time as all of ROS' are: the wheels set LD_LIBRARY_PATH.
    libraries = [f'-L{PREFIX / "lib"}', *(f'-l{name}' for name in LIBRARIES)]
    run([*cxx, '-shared', '-o', str(out / MODULE), *objects, *libraries])


def run(command: list[str]) -> None:
    """Run a compiler; on failure say with which command."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f'{shlex.join(command)}\n{done.stderr}\n{PACKAGE} could not be compiled.')


def install(out: Path) -> None:
    """Put the package into site-packages: complete beside its place first, then renamed.

    The type supports are looked for in libraries of their names; the one module serves as all.
    """
    SITE_PACKAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix='.tf2_msgs-', dir=SITE_PACKAGES) as staging:
        package = Path(staging) / PACKAGE
        (package / 'msg').mkdir(parents=True)
        for source in (*out.rglob('*.py'), out / MODULE):
            shutil.copy(source, package / source.relative_to(out))
        target = SITE_PACKAGES / PACKAGE
        if target.exists():
            target.rename(Path(staging) / 'previous')
        package.rename(target)
        for type_support in TYPE_SUPPORTS:
            link = Path(staging) / type_support
            link.symlink_to(target / MODULE)
            link.replace(PREFIX / 'lib' / f'lib{PACKAGE}__{type_support}.so')


if __name__ == '__main__':
    main()
