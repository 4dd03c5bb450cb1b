"""Install the Python package, its executables, and its share (launch, config)."""

from glob import glob

from setuptools import find_packages, setup

PACKAGE = 'fourd_perception'

setup(
    name=PACKAGE,
    version='0.1.0',
    packages=find_packages(include=[PACKAGE, f'{PACKAGE}.*']),
    package_data={
        PACKAGE: ['weights/*/*'],
        f'{PACKAGE}.evaluation.baselines': ['*.npy'],
        f'{PACKAGE}.synthetic': ['*.yaml'],
    },
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{PACKAGE}']),
        (f'share/{PACKAGE}', ['package.xml']),
        (f'share/{PACKAGE}/launch', sorted(glob('launch/*.launch.py'))),
        (f'share/{PACKAGE}/config', sorted(glob('config/*.*'))),
        (f'share/{PACKAGE}/config/train', sorted(glob('config/train/*'))),
    ],
    install_requires=['setuptools'],
    python_requires='>=3.10',
    zip_safe=True,
    maintainer='fourd_perception maintainers',
    maintainer_email='maintainers@fourd-perception.example.org',
    description='A metric 4-D scene from the synchronised cameras of a robot.',
    license='Apache-2.0',
    extras_require={'test': ['pytest'], 'datasets': ['h5py', 'OpenEXR']},
    entry_points={
        'console_scripts': [
            'fourd-perception = fourd_perception.cli:main',
            'perception_node = fourd_perception.ros.node:main',
        ],
    },
)
