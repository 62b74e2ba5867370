/// What a client wants to be told about as it happens.
///
///     size  field
///     8     watch     the client's number for it, one at a time on a connection
///     1     flags     bit 0 no puts, 1 no removals, 2 with previous values, 3 newest only, 4 notes
///     ...   range
///     8     start     first revision that is wanted; 0: from now on
package struct WatchRequest: Hashable, Sendable {
  package let watch: UInt64
  package let range: KeyRange
  package let start: Revision
  package var withoutPuts = false
  package var withoutRemovals = false
  package var wantsPrevious = false
  /// A key that changed again meanwhile is told once, as it is now.
  package var newestOnly = false
  /// Progress notes are wanted while nothing happens.
  package var wantsProgress = false

  package init(watch: UInt64, range: KeyRange, start: Revision = .zero) {
    self.watch = watch
    self.range = range
    self.start = start
  }
}

extension WatchRequest: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    watch = try input.read()
    let flags = try input.read(UInt8.self)
    guard flags < 32 else { throw .invalid("watch flags") }
    range = try KeyRange(decoding: &input)
    start = try Revision(decoding: &input)
    withoutPuts = flags & 1 != 0
    withoutRemovals = flags & 2 != 0
    wantsPrevious = flags & 4 != 0
    newestOnly = flags & 8 != 0
    wantsProgress = flags & 16 != 0
  }

  package func encode(into output: inout [UInt8]) {
    output.append(littleEndian: watch)
    let flags: UInt8 =
      (withoutPuts ? 1 : 0) | (withoutRemovals ? 2 : 0) | (wantsPrevious ? 4 : 0)
      | (newestOnly ? 8 : 0) | (wantsProgress ? 16 : 0)
    output.append(flags)
    range.encode(into: &output)
    start.encode(into: &output)
  }
}
