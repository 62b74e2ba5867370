import RoostWire

/// Changes request frames as a client with a planted mistake would.
enum RequestForgery {
  /// `wasSent` says whether a call of that number went out before.
  static func apply(
    _ flaw: StormFlaw?,
    to bytes: [UInt8],
    wasSent: (UInt64) -> Bool
  ) -> [UInt8] {
    guard case .client(let flaw) = flaw else { return bytes }
    var input = bytes.span
    var output: [UInt8] = []
    while let header = try? FrameHeader.next(in: &input, bodyLimit: FrameHeader.bodyLimit) {
      var body = input.extracting(first: header.bodyByteCount).copied()
      input = input.extracting(droppingFirst: header.bodyByteCount)
      if header.kind == .request {
        switch flaw {
        case .newNameForRetry: if wasSent(header.correlation) { body = renamed(body) }
        case .acknowledgesUnheard: body = acknowledging(body)
        }
      }
      output.appendFrame(header.kind, correlation: header.correlation) { $0 += body }
    }
    // What is no frame (a greeting) goes as it is.
    return output.isEmpty ? bytes : output
  }

  /// The same command under another name.
  static func renamed(_ body: [UInt8]) -> [UInt8] {
    guard var request = try? Request(decodingAll: body) else { return body }
    switch request.identity {
    case .session(_, .zero, _): return body
    case .session(let session, let sequence, let first):
      let next = SequenceNumber(sequence.rawValue + 1)
      request = Request(.session(session, next, firstIncomplete: first), request.command)
    case .oneShot(let id, let expiry):
      let other = OneShotID(high: id.high ^ 1, low: id.low)
      request = Request(.oneShot(other, expiry: expiry), request.command)
    }
    return request.encoded()
  }

  private static func acknowledging(_ body: [UInt8]) -> [UInt8] {
    guard let request = try? Request(decodingAll: body),
      case .session(let session, let sequence, _) = request.identity, sequence > .zero
    else { return body }
    return Request(.session(session, sequence, firstIncomplete: sequence), request.command)
      .encoded()
  }
}
