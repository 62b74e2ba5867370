internal import Glibc
internal import RoostCLinux

/// What one attempt to read found.
package enum ReceiveResult: Equatable, Sendable {
  case bytes(Int)
  /// Nothing now; the loop tells when there is.
  case nothing
  /// The other side has closed its half.
  case end
}

/// A stream socket that never blocks.
package struct Socket: ~Copyable, Sendable {
  package let descriptor: Descriptor

  private init(adopting number: Int32) { descriptor = Descriptor(adopting: number) }

  /// A socket that listens at `address`.
  package static func listening(
    at address: SocketAddress,
    backlog: Int32 = 1024
  ) throws(SystemError) -> Socket {
    let socket = try open(for: address)
    let number = socket.descriptor.number
    if case .unix(let path) = address.kind { unsafe unlink(path) }
    if address.family != AF_UNIX { setOption(SOL_SOCKET, SO_REUSEADDR, on: number) }
    // SAFETY: the pointer is used during the call alone.
    let bound = unsafe address.withNative { unsafe bind(number, $0, $1) }
    guard bound == 0 else { throw SystemError("bind \(address)") }
    guard listen(number, backlog) == 0 else { throw SystemError("listen at \(address)") }
    return socket
  }

  /// A socket on its way to `address`: writable, or in error, as soon as that is decided.
  package static func connecting(to address: SocketAddress) throws(SystemError) -> Socket {
    let socket = try open(for: address)
    let number = socket.descriptor.number
    if address.family != AF_UNIX { setOption(Int32(IPPROTO_TCP), TCP_NODELAY, on: number) }
    // SAFETY: the pointer is used during the call alone.
    let result = unsafe address.withNative { unsafe connect(number, $0, $1) }
    guard result == 0 || errno == EINPROGRESS || errno == EINTR else {
      throw SystemError("connect to \(address)")
    }
    return socket
  }

  private static func open(for address: SocketAddress) throws(SystemError) -> Socket {
    let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    let number = socket(address.family, type, 0)
    guard number >= 0 else { throw SystemError("socket for \(address)") }
    return Socket(adopting: number)
  }

  /// The next connection that waits at a listening socket, if any.
  package func accept() throws(SystemError) -> Socket? {
    let number = retryingInterrupted { roost_accept(descriptor.number) }
    guard number >= 0 else {
      switch errno {
      case EAGAIN, ECONNABORTED: return nil
      default: throw SystemError("accept")
      }
    }
    // Harmless where the connection is not TCP.
    Self.setOption(Int32(IPPROTO_TCP), TCP_NODELAY, on: number)
    return Socket(adopting: number)
  }

  private static func setOption(_ level: Int32, _ option: Int32, on number: Int32) {
    var one: Int32 = 1
    // SAFETY: the size is that of the value.
    unsafe setsockopt(number, level, option, &one, socklen_t(MemoryLayout<Int32>.size))
  }

  /// Why the connection could not be made, once it is decided; nil if it was made.
  package func connectionError(to address: SocketAddress) -> SystemError? {
    var code: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    // SAFETY: the call fills one Int32.
    let result = unsafe getsockopt(descriptor.number, SOL_SOCKET, SO_ERROR, &code, &size)
    guard result == 0 else { return SystemError("connect to \(address)") }
    return code == 0 ? nil : SystemError("connect to \(address)", errno: code)
  }

  /// The port that a listening socket got when it asked for port 0.
  package func localPort() throws(SystemError) -> UInt16 {
    var storage = sockaddr_in6()
    var size = socklen_t(MemoryLayout<sockaddr_in6>.size)
    // SAFETY: the family and the port lie at the same place for IPv4 and IPv6, and both fit.
    let result = unsafe withUnsafeMutablePointer(to: &storage) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        unsafe getsockname(descriptor.number, address, &size)
      }
    }
    guard result == 0 else { throw SystemError("getsockname") }
    return UInt16(bigEndian: storage.sin6_port)
  }

  /// Reads what is there into the front of `buffer`.
  package func receive(into buffer: inout [UInt8]) throws(SystemError) -> ReceiveResult {
    // SAFETY: the call writes at most `bytes.count` bytes.
    let count = unsafe buffer.withUnsafeMutableBytes { bytes in
      retryingInterrupted {
        unsafe recv(descriptor.number, bytes.baseAddress, bytes.count, 0)
      }
    }
    if count > 0 { return .bytes(count) }
    if count == 0 { return .end }
    if errno == EAGAIN { return .nothing }
    throw SystemError("receive")
  }

  /// Sends the bytes from `offset` on, and answers how many the kernel took.
  package func send(_ bytes: [UInt8], from offset: Int) throws(SystemError) -> Int {
    // SAFETY: the range lies within the array; a closed peer is an error here, not a signal.
    let count = unsafe bytes.withUnsafeBytes { buffer in
      let rest = unsafe UnsafeRawBufferPointer(rebasing: buffer[offset...])
      return retryingInterrupted {
        unsafe Glibc.send(descriptor.number, rest.baseAddress, rest.count, Int32(MSG_NOSIGNAL))
      }
    }
    if count >= 0 { return count }
    if errno == EAGAIN { return 0 }
    throw SystemError("send")
  }
}
