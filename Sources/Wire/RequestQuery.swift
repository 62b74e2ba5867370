/// What a client wants to know; answered from one replica's state, without the log.
///
///     offset  size  field
///     0       1     kind    5 get and 6 range, as the operations; the rest as below
///     1       ...   body
package enum Query: Hashable, Sendable {
  /// Kind 5.
  case get(Get)
  /// Kind 6.
  case range(RangeQuery)
  /// Kind 128: how big the state is and where its history begins; no body.
  case status
  /// Kind 129: sessions with ids above one, 8 bytes, at most a limit, 4 bytes.
  case sessions(after: UInt64, limit: UInt32)
  /// Kind 130: leases with ids above one, 8 bytes, at most a limit, 4 bytes.
  case leases(after: UInt64, limit: UInt32)
  /// Kind 131: one lease, 8 bytes, and at most so many of its keys, 4 bytes.
  case lease(UInt64, limit: UInt32)
  /// Kind 132: locks that are in use, from a name on, at most a limit, 4 bytes.
  case locks(from: [UInt8], limit: UInt32)
  /// Kind 133: one lock by name, with its holders and at most so many waiters, 4 bytes.
  case lock([UInt8], limit: UInt32)
}

extension Query: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    switch try input.read(UInt8.self) {
    case 5: self = .get(try Get(decoding: &input))
    case 6: self = .range(try RangeQuery(decoding: &input))
    case 128: self = .status
    case 129: self = .sessions(after: try input.read(), limit: try input.read())
    case 130: self = .leases(after: try input.read(), limit: try input.read())
    case 131: self = .lease(try input.read(), limit: try input.read())
    case 132:
      let name = try input.readShortBytes("lock name", limit: CommandLimits.lockNameByteCount)
      self = .locks(from: name, limit: try input.read())
    case 133: self = .lock(try input.readLockName(), limit: try input.read())
    default: throw .invalid("query kind")
    }
  }

  package func encode(into output: inout [UInt8]) {
    switch self {
    case .get(let get): Operation.get(get).encode(into: &output)
    case .range(let range): Operation.range(range).encode(into: &output)
    case .status: output.append(128)
    case .sessions(let number, let limit):
      output.append(129)
      output.append(littleEndian: number)
      output.append(littleEndian: limit)
    case .leases(let number, let limit):
      output.append(130)
      output.append(littleEndian: number)
      output.append(littleEndian: limit)
    case .lease(let number, let limit):
      output.append(131)
      output.append(littleEndian: number)
      output.append(littleEndian: limit)
    case .locks(let name, let limit):
      output.append(132)
      output.append(short: name)
      output.append(littleEndian: limit)
    case .lock(let name, let limit):
      output.append(133)
      output.append(short: name)
      output.append(littleEndian: limit)
    }
  }
}
