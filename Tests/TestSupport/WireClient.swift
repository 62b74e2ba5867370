internal import Glibc
internal import RoostPlatform
package import RoostWire
internal import Testing

/// A client that speaks frames and nothing else: what it sends and when it reads is the test's choice.
package final class WireClient {
  package struct Frame {
    package let kind: FrameKind
    package let correlation: UInt64
    package let body: [UInt8]

    package var event: Event? { kind == .event ? try? Event(decodingAll: body) : nil }
    package var reply: Reply? { kind == .reply ? try? Reply(decodingAll: body) : nil }
  }

  package struct Silence: Error {
    package let waitedFor: String

    package init(waitedFor: String) { self.waitedFor = waitedFor }
  }

  private let link: Link
  private var received: [UInt8]
  private var correlation: UInt64 = 0
  package private(set) var isEnded = false
  package let hello: HelloReply

  package convenience init(
    to address: String,
    _ hello: Hello = Hello(role: .client, cluster: .zero)
  ) throws {
    try self.init(try Link(to: address, saying: hello))
  }

  /// Many at once: all say hello before the first answer is waited for.
  package static func several(_ count: Int, to address: String) throws -> [WireClient] {
    let hello = Hello(role: .client, cluster: .zero)
    let links = try (0..<count).map { _ in try Link(to: address, saying: hello) }
    return try links.map { try WireClient($0) }
  }

  /// Waits for the answer to the hello.
  private init(_ link: Link) throws {
    var input: [UInt8] = []
    let deadline = Machine.monotonicNanoseconds() + 10_000_000_000
    while input.count < HelloReply.byteCount, Machine.monotonicNanoseconds() < deadline {
      guard let bytes = link.pull() else { throw Silence(waitedFor: "hello") }
      input += bytes
      if bytes.isEmpty { usleep(500) }
    }
    self.hello = try HelloReply(decodingAll: [UInt8](input.prefix(HelloReply.byteCount)))
    self.link = link
    received = [UInt8](input.dropFirst(HelloReply.byteCount))
  }

  /// The socket with what it needs to be read.
  private final class Link {
    private let socket: Socket
    private var buffer = [UInt8](repeating: 0, count: 1 << 16)

    init(to address: String, saying hello: Hello) throws {
      let place = try #require(SocketAddress(address))
      socket = try Socket.connecting(to: place)
      try push(hello.encoded())
    }

    func push(_ bytes: [UInt8]) throws {
      var sent = 0
      let deadline = Machine.monotonicNanoseconds() + 10_000_000_000
      while sent < bytes.count {
        do throws(SystemError) {
          let count = try socket.send(bytes, from: sent)
          sent += count
          if count == 0 { usleep(500) }
        } catch {
          guard error.isNotConnectedYet else { throw error }
          usleep(500)
        }
        guard Machine.monotonicNanoseconds() < deadline else { throw Silence(waitedFor: "room") }
      }
    }

    /// What is there; nil at the end.
    func pull() -> [UInt8]? {
      do throws(SystemError) {
        switch try socket.receive(into: &buffer) {
        case .bytes(let count): return [UInt8](buffer[..<count])
        case .nothing: return []
        case .end: return nil
        }
      } catch {
        return error.isNotConnectedYet ? [] : nil
      }
    }
  }

  package func send(_ bytes: [UInt8]) throws { try link.push(bytes) }

  /// Sends a frame, and answers its correlation.
  @discardableResult
  package func ask(_ kind: FrameKind, _ body: [UInt8]) throws -> UInt64 {
    correlation += 1
    var bytes: [UInt8] = []
    bytes.appendFrame(kind, correlation: correlation) { $0 += body }
    try send(bytes)
    return correlation
  }

  /// The next frame that comes; nil if none does in time, or the connection has ended.
  package func next(within timeout: Duration = .seconds(10)) throws -> Frame? {
    let nanoseconds =
      UInt64(timeout.components.seconds) * 1_000_000_000
      + UInt64(timeout.components.attoseconds / 1_000_000_000)
    let deadline = Machine.monotonicNanoseconds() + nanoseconds
    while true {
      if let frame = try takeFrame() { return frame }
      if let bytes = link.pull() {
        received += bytes
        if !bytes.isEmpty { continue }
      } else {
        isEnded = true
      }
      guard !isEnded, Machine.monotonicNanoseconds() < deadline else { return nil }
      usleep(500)
    }
  }

  private func takeFrame() throws -> Frame? {
    guard let total = FrameHeader.totalByteCount(of: received.span), received.count >= total else {
      return nil
    }
    let bytes = [UInt8](received[..<total])
    received.removeFirst(total)
    var input = bytes.span
    guard let header = try FrameHeader.next(in: &input, bodyLimit: FrameHeader.bodyLimit) else {
      return nil
    }
    let body = [UInt8](bytes[FrameHeader.byteCount...])
    return Frame(kind: header.kind, correlation: header.correlation, body: body)
  }

  /// Sends a frame and answers the reply to it; events that come before it are handed to `event`.
  package func call(
    _ kind: FrameKind,
    _ body: [UInt8],
    event: (Frame) -> Void = { _ in }
  ) throws -> Frame {
    let asked = try ask(kind, body)
    while let frame = try next() {
      if frame.kind == .reply, frame.correlation == asked { return frame }
      event(frame)
    }
    throw Silence(waitedFor: "reply \(asked)")
  }

  /// The next event.
  package func event(within timeout: Duration = .seconds(10)) throws -> Event {
    while let frame = try next(within: timeout) {
      if let event = frame.event { return event }
    }
    throw Silence(waitedFor: "event")
  }

  package func status() throws -> NodeStatus {
    try NodeStatus(decodingAll: try call(.status, []).body)
  }

  // MARK: Commands

  /// Runs a command without a session.
  package func once(_ command: Command) throws -> Reply {
    let expiry = ClusterTime(hello.clusterTime.rawValue + 50_000_000_000)
    let id = OneShotID(high: .random(in: 0...(.max)), low: .random(in: 0...(.max)))
    return try Reply(
      decodingAll: try call(.request, Request(.oneShot(id, expiry: expiry), command).encoded()).body
    )
  }

  package func put(_ key: String, _ value: [UInt8]) throws -> Revision {
    guard
      case .written(let written) = try once(
        .operation(.put(Put(key: Array(key.utf8), value: value)))
      )
    else { throw Silence(waitedFor: "put") }
    return written.revision
  }

  package func openSession(ttl: UInt64 = 10_000) throws -> SessionID {
    guard case .sessionOpened(let opened) = try once(.openSession(OpenSession(ttl: ttl, label: [])))
    else { throw Silence(waitedFor: "session") }
    return opened.session
  }

  /// Sends a session's request, and answers its correlation.
  @discardableResult
  package func send(_ command: Command, of session: SessionID, _ sequence: UInt64) throws -> UInt64
  {
    let identity = RequestIdentity.session(
      session,
      SequenceNumber(sequence),
      firstIncomplete: SequenceNumber(sequence == 0 ? 0 : 1)
    )
    return try ask(.request, Request(identity, command).encoded())
  }

  package func run(_ command: Command, of session: SessionID, _ sequence: UInt64) throws -> Reply {
    let asked = try send(command, of: session, sequence)
    while let frame = try next() {
      if frame.correlation == asked, let reply = frame.reply { return reply }
    }
    throw Silence(waitedFor: "reply \(asked)")
  }
}

/// A connection that never says a word.
package final class StillSocket {
  private let socket: Socket

  package init(to address: String) throws {
    socket = try Socket.connecting(to: try #require(SocketAddress(address)))
  }
}
