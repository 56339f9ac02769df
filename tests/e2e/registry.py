"""Lays down a tiny package for each registry, as files below the directory that is its argument, and
an index of Cargo's in a bare repository below the second. Runs in the image of the clients."""

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile

FILES, REPOSITORIES = sys.argv[1:]
URL = "https://origin.example.test/files"


def write(path, content):
    path = os.path.join(FILES, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())


def zipped(files):
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return whole.getvalue()


def tarred(files):
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return whole.getvalue()


wheel = "tiny-1.0-py3-none-any.whl"
write(f"pypi/{wheel}", zipped({
    "tiny.py": "SAID = 'hello'\n",
    "tiny-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
    "tiny-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "tiny-1.0.dist-info/RECORD": "tiny.py,,\ntiny-1.0.dist-info/METADATA,,\ntiny-1.0.dist-info/WHEEL,,\n"
                                 "tiny-1.0.dist-info/RECORD,,\n",
}))
write("pypi/index.html", f'<html><body><a href="{URL}/pypi/{wheel}">{wheel}</a></body></html>')

package = json.dumps({"name": "tiny", "version": "1.0.0", "main": "index.js"})
tarball = tarred({"package/package.json": package, "package/index.js": "module.exports = 'hello'\n"})
write("npm-files/tiny-1.0.0.tgz", tarball)
version = json.loads(package) | {"dist": {
    "tarball": f"{URL}/npm-files/tiny-1.0.0.tgz", "shasum": hashlib.sha1(tarball).hexdigest(),
}}
write("npm/tiny", json.dumps({
    "name": "tiny", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version},
}))

write("go/a.test/tiny/@v/list", "v1.0.0\n")
write("go/a.test/tiny/@v/v1.0.0.info", '{"Version":"v1.0.0","Time":"2026-01-01T00:00:00Z"}')
write("go/a.test/tiny/@v/v1.0.0.mod", "module a.test/tiny\n")
write("go/a.test/tiny/@v/v1.0.0.zip", zipped({
    "a.test/tiny@v1.0.0/go.mod": "module a.test/tiny\n",
    "a.test/tiny@v1.0.0/tiny.go": "package tiny\n\nconst Said = \"hello\"\n",
}))

os.makedirs("/tmp/deb/DEBIAN")
with open("/tmp/deb/DEBIAN/control", "w") as control:
    control.write("Package: tiny\nVersion: 1.0\nArchitecture: all\nMaintainer: T <t@example.test>\n"
                  "Description: tiny\n")
os.makedirs("/tmp/deb/usr/share/tiny")
with open("/tmp/deb/usr/share/tiny/said", "w") as said:
    said.write("hello\n")
subprocess.run(["dpkg-deb", "--build", "/tmp/deb", "/tmp/tiny.deb"], check=True)
deb = open("/tmp/tiny.deb", "rb").read()
write("apt/tiny.deb", deb)
write("apt/Packages", f"Package: tiny\nVersion: 1.0\nArchitecture: all\nMaintainer: T <t@example.test>\n"
                      f"Description: tiny\nFilename: apt/tiny.deb\nSize: {len(deb)}\n"
                      f"SHA256: {hashlib.sha256(deb).hexdigest()}\n")

crate = tarred({
    "tiny-1.0.0/Cargo.toml": '[package]\nname = "tiny"\nversion = "1.0.0"\n',
    "tiny-1.0.0/src/lib.rs": 'pub const SAID: &str = "hello";\n',
})
write("crates/tiny-1.0.0.crate", crate)
os.makedirs("/tmp/index/ti/ny")
with open("/tmp/index/config.json", "w") as config:
    config.write(json.dumps({"dl": URL + "/crates/{crate}-{version}.crate"}))
with open("/tmp/index/ti/ny/tiny", "w") as entry:
    entry.write(json.dumps({
        "name": "tiny", "vers": "1.0.0", "deps": [], "features": {}, "yanked": False,
        "cksum": hashlib.sha256(crate).hexdigest(),
    }) + "\n")
git = ["git", "-C", "/tmp/index", "-c", "user.name=T", "-c", "user.email=t@example.test"]
subprocess.run([*git, "init", "--quiet", "--initial-branch=main"], check=True)
subprocess.run([*git, "add", "."], check=True)
subprocess.run([*git, "commit", "--quiet", "--message=index"], check=True)
subprocess.run(["git", "clone", "--quiet", "--bare", "/tmp/index", f"{REPOSITORIES}/index.git"], check=True)
