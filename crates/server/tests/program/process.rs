//! Running the program, and talking to it.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdout, Command, Output, Stdio},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, Error, connect::HttpConnector},
    rt::TokioExecutor,
};

/// A command that is not inherited from the environment of the tests.
pub(crate) fn apsis(arguments: &[&str], data_dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_apsis"));
    command.env_clear().args(arguments).arg("--data-dir").arg(data_dir);
    command
}

/// Runs a command to its end.
pub(crate) fn run(arguments: &[&str], data_dir: &Path) -> Output {
    apsis(arguments, data_dir).output().unwrap()
}

/// What a command printed; it must have worked.
pub(crate) fn printed(arguments: &[&str], data_dir: &Path) -> String {
    let output = run(arguments, data_dir);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

const SERVE: &[&str] = &["serve", "--listen", "127.0.0.1:0"];

/// A running server.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
    /// What it printed up to the address, or up to the end of the demo's greeting.
    pub(crate) greeting: String,
    pub(crate) out: BufReader<ChildStdout>,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Only what this test started; it may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Server {
    /// Starts one and waits until it listens.
    pub(crate) fn start(arguments: &[&str], data_dir: &Path) -> Self {
        Self::spawn(apsis(&[SERVE, arguments].concat(), data_dir), arguments)
    }

    /// Starts one that a limit on the size of its files does not kill: it is told like of a full disk.
    pub(crate) fn start_where_files_are_limited(arguments: &[&str], data_dir: &Path) -> Self {
        let mut command = Command::new("sh");
        command.env_clear().args(["-c", "trap '' XFSZ; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_apsis")]);
        command.args(SERVE).args(arguments).arg("--data-dir").arg(data_dir);
        Self::spawn(command, arguments)
    }

    fn spawn(mut command: Command, arguments: &[&str]) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut greeting = String::new();
        out.read_line(&mut greeting).unwrap();
        let address = greeting.split("http://").nth(1).and_then(|rest| rest.split(',').next()?.parse().ok());
        let address = address.unwrap_or_else(|| panic!("the server did not start: {greeting:?}"));
        if arguments.contains(&"--demo") {
            while !greeting.contains("/api/usage/token") {
                out.read_line(&mut greeting).unwrap();
            }
        }
        Self { child, address, greeting, out }
    }

    /// What it prints next, up to a line with `text`.
    pub(crate) fn said(&mut self, text: &str) -> String {
        let mut said = String::new();
        while !said.contains(text) {
            assert!(self.out.read_line(&mut said).unwrap() > 0, "it never said {text}: {said}");
        }
        said
    }

    /// Asks it to end, and waits for it.
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap().code()
    }
}

/// An HTTP client.
#[derive(Clone)]
pub(crate) struct Caller(Client<HttpConnector, Full<Bytes>>);

impl Caller {
    pub(crate) fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Response<Incoming>, Error> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.0.request(request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).unwrap()).await
    }

    pub(crate) async fn text(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, String) {
        let response = self.send(method, url, headers, body).await.unwrap();
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&bytes).into_owned())
    }
}
