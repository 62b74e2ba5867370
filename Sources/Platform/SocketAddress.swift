internal import Glibc

/// Where a node listens: a numeric address with a port, or a path.
///
/// Written `127.0.0.1:7401`, `[::1]:7401`, `localhost:7401` (which is 127.0.0.1) or `unix:/run/kv.sock`.
/// Other names are refused: looking one up can hang for seconds, which a loop thread must not.
package struct SocketAddress: Equatable, Hashable, Sendable, CustomStringConvertible {
  enum Kind: Equatable, Hashable, Sendable {
    case ipv4(String, UInt16)
    case ipv6(String, UInt16)
    case unix(String)
  }

  let kind: Kind

  /// Reads the written form; nil if it is none.
  package init?(_ text: String) {
    if text.hasPrefix("unix:") {
      let path = String(text.dropFirst(5))
      // sun_path holds 108 bytes with the terminator.
      guard !path.isEmpty, path.utf8.count <= 107 else { return nil }
      kind = .unix(path)
      return
    }
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...])
    else { return nil }
    var host = String(text[..<colon])
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = String(host.dropFirst().dropLast())
      guard Self.isNumeric(host, family: AF_INET6) else { return nil }
      kind = .ipv6(host, port)
    } else {
      if host == "localhost" { host = "127.0.0.1" }
      guard Self.isNumeric(host, family: AF_INET) else { return nil }
      kind = .ipv4(host, port)
    }
  }

  private init(kind: Kind) { self.kind = kind }

  private static func isNumeric(_ host: String, family: Int32) -> Bool {
    var space = in6_addr()
    // SAFETY: an in6_addr is large enough for either family.
    return unsafe inet_pton(family, host, &space) == 1
  }

  /// Whether only programs on this machine can reach it.
  package var isLoopback: Bool {
    switch kind {
    case .ipv4(let host, _): host.hasPrefix("127.")
    case .ipv6(let host, _): host == "::1"
    case .unix: true
    }
  }

  /// The port, or 0 for a path.
  package var port: UInt16 {
    switch kind {
    case .ipv4(_, let port), .ipv6(_, let port): port
    case .unix: 0
    }
  }

  /// The same host with another port.
  package func withPort(_ port: UInt16) -> SocketAddress {
    switch kind {
    case .ipv4(let host, _): SocketAddress(kind: .ipv4(host, port))
    case .ipv6(let host, _): SocketAddress(kind: .ipv6(host, port))
    case .unix: self
    }
  }

  package var description: String {
    switch kind {
    case .ipv4(let host, let port): "\(host):\(port)"
    case .ipv6(let host, let port): "[\(host)]:\(port)"
    case .unix(let path): "unix:\(path)"
    }
  }

  var family: Int32 {
    switch kind {
    case .ipv4: AF_INET
    case .ipv6: AF_INET6
    case .unix: AF_UNIX
    }
  }

  /// Calls `body` with the address as the kernel wants it.
  func withNative<Result>(
    _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
  ) -> Result {
    var storage = sockaddr_storage()
    let length = fill(&storage)
    // SAFETY: sockaddr_storage is made to be seen as a sockaddr, and `length` bytes of it are filled.
    return unsafe withUnsafePointer(to: &storage) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        unsafe body(address, length)
      }
    }
  }

  private func fill(_ storage: inout sockaddr_storage) -> socklen_t {
    // SAFETY: each case writes one of the address structs that sockaddr_storage has room for, and the
    // text was checked by `init`.
    unsafe withUnsafeMutableBytes(of: &storage) { bytes in
      switch kind {
      case .ipv4(let host, let port):
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        unsafe inet_pton(AF_INET, host, &address.sin_addr)
        unsafe bytes.storeBytes(of: address, as: sockaddr_in.self)
        return socklen_t(MemoryLayout<sockaddr_in>.size)
      case .ipv6(let host, let port):
        var address = sockaddr_in6()
        address.sin6_family = sa_family_t(AF_INET6)
        address.sin6_port = port.bigEndian
        unsafe inet_pton(AF_INET6, host, &address.sin6_addr)
        unsafe bytes.storeBytes(of: address, as: sockaddr_in6.self)
        return socklen_t(MemoryLayout<sockaddr_in6>.size)
      case .unix(let path):
        unsafe bytes.storeBytes(of: sa_family_t(AF_UNIX), as: sa_family_t.self)
        for (offset, byte) in path.utf8.enumerated() { unsafe bytes[2 + offset] = byte }
        return socklen_t(2 + path.utf8.count + 1)
      }
    }
  }
}
