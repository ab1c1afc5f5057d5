//! [`SocketFile`]: the file of a Unix socket.

use std::{
    fs, io,
    os::unix::{
        fs::{FileTypeExt, MetadataExt},
        net::{UnixDatagram, UnixListener},
    },
    path::{self, Path, PathBuf},
};

/// A file that was made for a listener; removed when it is dropped, unless another one has taken its
/// place.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// Its device and inode.
    identity: (u64, u64),
}

impl SocketFile {
    /// Listens at a path. What a server that is gone has left there is replaced; anything else is an
    /// error.
    pub(super) fn bind(path: &Path) -> io::Result<(UnixListener, Self)> {
        // Whoever changes the directory meanwhile still has the right one removed.
        let path = path::absolute(path)?;
        let listener = match UnixListener::bind(&path) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_abandoned(&path) => {
                tracing::info!(?path, "replaces the socket of a server that is gone");
                fs::remove_file(&path)?;
                UnixListener::bind(&path)?
            }
            result => result?,
        };
        let identity = identity(&path)?;
        Ok((listener, Self { path, identity }))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            if let Err(error) = fs::remove_file(&self.path) {
                tracing::warn!(path = ?self.path, %error, "cannot remove a socket");
            }
        }
    }
}

/// Tells whether there is a socket that nobody has open. To connect to one of another kind never waits,
/// nor does the owner see anything of it: it fails with this error, or with that of a wrong type.
fn is_abandoned(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let attempt = UnixDatagram::unbound().and_then(|probe| probe.connect(path));
    is_socket && attempt.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let file = fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}
