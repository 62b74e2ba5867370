internal import Glibc

/// A system call that failed: which one, on what, and why.
package struct SystemError: Error, Equatable, Sendable {
  /// What was tried, as a reader would say it: `bind 127.0.0.1:7401`.
  package let operation: String
  package let errno: Int32

  package init(_ operation: String, errno: Int32) {
    self.operation = operation
    self.errno = errno
  }

  /// The error of the call that just returned -1.
  package init(_ operation: String) {
    self.init(operation, errno: Glibc.errno)
  }

  /// The system's sentence for ``errno``, for example "Connection refused".
  package var reason: String {
    // SAFETY: strerror answers a terminated string, which is copied at once.
    unsafe strerror(errno).map { unsafe String(cString: $0) } ?? "errno \(errno)"
  }

  package var isNotConnectedYet: Bool { errno == ENOTCONN || errno == EAGAIN }
  package var isConnectionRefused: Bool { errno == ECONNREFUSED }
  package var isAddressInUse: Bool { errno == EADDRINUSE }
}

extension SystemError: CustomStringConvertible {
  package var description: String { "\(operation): \(reason)" }
}

/// Runs a system call again for as long as a signal interrupts it.
func retryingInterrupted<Result: SignedInteger>(_ call: () -> Result) -> Result {
  while true {
    let result = call()
    if result != -1 || errno != EINTR { return result }
  }
}
