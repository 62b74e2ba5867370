// Every decoder of bytes from outside, driven by libFuzzer.
//
// Owns what one input means: its first byte chooses a decoder, the rest is what it decodes. Leaves the choice of
// inputs, and the report of what traps, to libFuzzer. Built by command only, as `Docs/CONTRIBUTING.md` says.

import RoostJournal
import RoostRaft
import RoostSimulation
import RoostWire

/// Called by libFuzzer with one input after another.
@_cdecl("LLVMFuzzerTestOneInput")
public func decodeOneInput(_ start: UnsafePointer<UInt8>?, _ byteCount: Int) -> CInt {
  guard let start = unsafe start, byteCount > 0 else { return 0 }
  // SAFETY: the caller says where its bytes are and how many.
  let bytes = unsafe [UInt8](UnsafeBufferPointer(start: start, count: byteCount))
  let decoders = DecoderFuzzer.decoders
  decoders[Int(bytes[0]) % decoders.count](Array(bytes.dropFirst()))
  return 0
}

enum DecoderFuzzer {
  static let decoders: [@Sendable ([UInt8]) -> Void] = [
    again(Command.self), again(Query.self), again(Request.self), again(Reply.self),
    again(Hello.self), again(HelloReply.self), again(Event.self), again(NodeStatus.self),
    again(AdminRequest.self), again(WatchRequest.self), again(Failure.self), again(Message.self),
    again(Membership.self), again(Entry.self), again(HardState.self), again(Record.self),
    again(Standing.self), again(SnapshotLabel.self), decodeFrames, decodeSnapshot,
    decodeSegmentHeader,
    openDirectory,
  ]

  /// What can be decoded can be encoded, and is the same when it is decoded again.
  private static func again<Value: WireCodable & SendableMetatype>(
    _ type: Value.Type
  ) -> @Sendable ([UInt8]) -> Void {
    { bytes in
      guard let value = try? Value(decodingAll: bytes) else { return }
      let encoded = value.encoded()
      let second = try? Value(decodingAll: encoded)
      precondition(second?.encoded() == encoded, "\(Value.self) has one encoding")
    }
  }

  @Sendable private static func decodeFrames(_ bytes: [UInt8]) {
    var bytes = bytes
    seal(&bytes, from: 4, to: bytes.count, at: 0)
    var input = bytes.span
    while let header = try? FrameHeader.next(in: &input, bodyLimit: 1 << 20) {
      guard let body = try? input.readBytes(header.bodyByteCount) else { break }
      precondition(body.count == header.bodyByteCount, "a frame's body is complete")
    }
  }

  @Sendable private static func decodeSnapshot(_ bytes: [UInt8]) {
    var decoder = SnapshotDecoder(of: identity.cluster)
    for piece in [bytes.prefix(bytes.count / 2), bytes.suffix(bytes.count - bytes.count / 2)] {
      guard (try? decoder.take(Array(piece))) != nil else { return }
    }
  }

  /// Two good checksums are given to whatever stands there, so that the fields behind them are reached.
  @Sendable private static func decodeSegmentHeader(_ bytes: [UInt8]) {
    var bytes = Array((bytes + [UInt8](repeating: 0, count: 512)).prefix(512))
    bytes.replaceSubrange(0..<8, with: Array("ROOSTLOG".utf8))
    seal(&bytes, from: 0, to: 508, at: 508)
    _ = try? SegmentHeader(decoding: bytes.span)
  }

  private static let identity = JournalIdentity(cluster: ClusterID(77), node: NodeID(3))

  /// The bytes stand behind the header of a log, each cell with a good checksum.
  @Sendable private static func openDirectory(_ bytes: [UInt8]) {
    let disk = SimulatedDisk()
    let name = "0000000000000001.log"
    guard (try? Journal.open(on: disk, as: identity, settings: .tiny)) != nil else { return }
    var cells = Array((bytes + [UInt8](repeating: 0, count: 511)).prefix(8192))
    cells.removeLast(cells.count % 512)
    reseal(&cells, firstCell: 8)
    guard (try? disk.tamper(.write(name, offset: 4096, bytes: cells))) != nil else { return }
    try? JournalInspection(of: disk).dump { _ in }
    _ = try? Journal.open(on: disk, as: identity, settings: .tiny)
  }

  private static func reseal(_ cells: inout [UInt8], firstCell: Int) {
    var seed: UInt64 = 0
    for part in [identity.cluster.rawValue, identity.node.rawValue, 1] {
      var mixer = SplitMix64(seed: seed ^ part)
      seed = mixer.next()
    }
    for start in stride(from: 0, to: cells.count, by: 512)
    where cells[start..<start + 512].contains(where: { $0 != 0 }) {
      var mixer = SplitMix64(seed: seed ^ UInt64(firstCell + start / 512))
      let mask = UInt32(truncatingIfNeeded: mixer.next())
      seal(&cells, from: start + 4, to: start + 512, at: start, mask)
    }
  }

  private static func seal(
    _ bytes: inout [UInt8],
    from start: Int,
    to end: Int,
    at place: Int,
    _ mask: UInt32 = 0
  ) {
    guard start <= end, place + 4 <= bytes.count else { return }
    let value = CRC32C(of: bytes.span.extracting(start..<end)).value ^ mask
    for index in 0..<4 {
      bytes[place + index] = UInt8(truncatingIfNeeded: value >> (8 * UInt32(index)))
    }
  }
}
