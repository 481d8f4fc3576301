//! nginx as one of the roles: a plain proxy that many know.

use std::{
    error::Error,
    fs,
    io::{self, Read as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{process::folder_in_memory, role::announce};

const CONFIG: &str = include_str!("../peers/conf/nginx.conf");

/// Where it is, if it is installed. Debian keeps servers where only root looks.
pub fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    folders.find_map(|folder| Some(folder.join("nginx")).filter(|program| program.is_file()))
}

/// Runs it until standard input ends.
pub fn play(upstream: SocketAddr) -> Result<(), Box<dyn Error>> {
    let folder = folder_in_memory()?;
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let mut nginx = start(folder.path(), address, upstream)?;
    let served = wait(&mut nginx, address).and_then(|()| {
        announce(address, "", "")?;
        // Ended by its reader, or with it.
        let _ = io::stdin().read(&mut [0]);
        Ok(())
    });
    // Asked to end, it ends its worker too. It may have ended by itself.
    if let Some(process) = i32::try_from(nginx.id()).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(process, rustix::process::Signal::TERM);
    }
    nginx.wait()?;
    served
}

fn start(folder: &Path, address: SocketAddr, upstream: SocketAddr) -> Result<Child, Box<dyn Error>> {
    let config = CONFIG
        .replace("${folder}", &folder.display().to_string())
        .replace("${listen}", &address.to_string())
        .replace("${upstream}", &upstream.to_string())
        // Lines written together, as the gateway does it.
        .replace("${access_log}", &format!("{}/access.log combined buffer=64k flush=1s", folder.display()));
    let file = folder.join("nginx.conf");
    fs::write(&file, config)?;
    let program = program().ok_or("nginx is not installed")?;
    Ok(Command::new(program).arg("-c").arg(file).stdin(Stdio::null()).stdout(Stdio::null()).spawn()?)
}

fn wait(nginx: &mut Child, address: SocketAddr) -> Result<(), Box<dyn Error>> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(address).is_err() {
        if let Some(status) = nginx.try_wait()? {
            return Err(format!("nginx ended with {status}").into());
        }
        if Instant::now() > deadline {
            return Err("nginx does not listen".into());
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
