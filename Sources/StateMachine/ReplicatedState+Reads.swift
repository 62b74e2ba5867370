internal import RoostWire

/// Questions, answered from the state as it is.
extension ReplicatedState {
  /// Answers a query, as `Query` writes it, by appending a reply.
  package func read(_ query: [UInt8], into output: inout [UInt8]) {
    let start = output.count
    let decoded: Query
    do throws(WireError) {
      decoded = try Query(decodingAll: query)
    } catch {
      return Failure(.malformed).encode(into: &output)
    }
    do throws(Failure) {
      try answer(decoded, into: &output)
    } catch {
      output.removeSubrange(start...)
      error.encode(into: &output)
    }
  }

  private func answer(_ query: Query, into output: inout [UInt8]) throws(Failure) {
    switch query {
    case .get(let get): try read(get, into: &output)
    default: throw Failure(.unsupported)
    }
  }

  func read(_ get: Get, into output: inout [UInt8]) throws(Failure) {
    let record = keyspace.find(get.key.span)
    output.append(littleEndian: UInt16(0))
    output.append(3)
    output.append(littleEndian: keyspace.revision)
    output.append(record == nil ? 0 : 1)
    record?.encode(into: &output)
  }
}
