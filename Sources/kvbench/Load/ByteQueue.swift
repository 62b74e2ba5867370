import Glibc
import RoostPlatform

/// Bytes on their way in or out of a connection: written at the end, taken from the front, never zeroed.
@safe final class ByteQueue {
  private var base: UnsafeMutableRawPointer
  private var capacity: Int
  private var start = 0
  private var end = 0

  init(capacity: Int) {
    // SAFETY: freed in deinit or when it grows.
    unsafe base = .allocate(byteCount: capacity, alignment: 16)
    self.capacity = capacity
  }

  deinit { unsafe base.deallocate() }

  var count: Int { end - start }
  var isEmpty: Bool { start == end }

  /// Sets aside room for so many bytes at the end; ``commit(_:)`` takes what was written there.
  @inline(__always)
  func grow(by byteCount: Int) -> Cursor {
    if capacity - end < byteCount { makeRoom(for: byteCount) }
    return unsafe Cursor(at: base + end)
  }

  @inline(__always)
  func commit(_ cursor: Cursor) {
    let count = unsafe cursor.place - base
    precondition(count >= end && count <= capacity, "a writer keeps to the room that it asked for")
    end = count
  }

  /// Appends bytes that were put together elsewhere.
  func append(_ bytes: [UInt8]) {
    var cursor = grow(by: bytes.count)
    cursor.write(bytes)
    commit(cursor)
  }

  private func makeRoom(for byteCount: Int) {
    if start > 0, capacity - count >= byteCount, start >= capacity / 2 {
      // SAFETY: both ranges lie within the buffer; memmove allows that they overlap.
      unsafe memmove(base, base + start, count)
    } else {
      let larger = max(capacity * 2, (count + byteCount) * 2)
      // SAFETY: `count` bytes from `start` on are initialised and fit.
      let new = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 16)
      unsafe new.copyMemory(from: base + start, byteCount: count)
      unsafe base.deallocate()
      unsafe base = new
      capacity = larger
    }
    end -= start
    start = 0
  }

  func removeAll() {
    start = 0
    end = 0
  }

  /// Drops so many bytes from the front.
  @inline(__always)
  func remove(_ byteCount: Int) {
    precondition(byteCount >= 0 && byteCount <= count, "no more is taken than there is")
    start += byteCount
    if start == end {
      start = 0
      end = 0
    }
  }

  /// The bytes that are there, to be read within `body`.
  @inline(__always)
  func withBytes<Result>(
    _ body: (borrowing Span<UInt8>) throws(LoadError) -> Result
  ) throws(LoadError) -> Result {
    // SAFETY: `count` bytes from `start` on are initialised; nothing moves them while `body` runs, since only
    // the connection that owns this queue writes to it, and not while it reads.
    let buffer = unsafe UnsafeBufferPointer<UInt8>(
      start: (base + start).assumingMemoryBound(to: UInt8.self),
      count: count
    )
    return try unsafe body(buffer.span)
  }

  /// Appends what a socket has; answers whether it filled the room, or nil at the end of the connection.
  func receive(from descriptor: Int32, atMost byteCount: Int) throws(SystemError) -> Bool? {
    if capacity - end < byteCount { makeRoom(for: byteCount) }
    // SAFETY: the call writes at most `byteCount` bytes behind `end`, which are there.
    let count = unsafe recv(descriptor, base + end, byteCount, 0)
    if count > 0 {
      end += count
      return count == byteCount
    }
    if count == 0 { return nil }
    if errno == EAGAIN || errno == EINTR { return false }
    throw SystemError("receive", errno: errno)
  }

  /// Sends from the front as much as the kernel takes.
  func send(to descriptor: Int32) throws(SystemError) {
    while start < end {
      // SAFETY: the range is initialised; a closed peer is an error here, not a signal.
      let sent = unsafe Glibc.send(descriptor, base + start, count, Int32(MSG_NOSIGNAL))
      if sent > 0 {
        remove(sent)
      } else if errno == EAGAIN {
        return
      } else if errno != EINTR {
        throw SystemError("send", errno: errno)
      }
    }
  }
}
