internal import Glibc

/// A file descriptor that is closed exactly once: when its owner goes.
package struct Descriptor: ~Copyable, Sendable {
  package let number: Int32

  /// Takes over an open descriptor.
  package init(adopting number: Int32) {
    precondition(number >= 0, "a descriptor is open")
    self.number = number
  }

  deinit {
    // Linux frees the number even when close reports EINTR; a second close could hit a stranger.
    _ = close(number)
  }
}
