internal import RoostPlatform

extension NodeConfiguration {
  /// Ends the process as one should whose disk has failed.
  public static let endProcess: @Sendable (String) -> Never = { _ in
    Process.exit(NodeExitCode.inputOutput)
  }
}

/// How a process that runs a node ends, as `sysexits` numbers it; part of the contract with service managers.
public enum NodeExitCode {
  /// The command line makes no sense.
  public static let usage: Int32 = 64
  /// The data directory is damaged, foreign or of a newer format.
  public static let data: Int32 = 65
  /// The address is taken or can't be listened at.
  public static let unavailable: Int32 = 69
  /// The system refused a thread or a descriptor.
  public static let system: Int32 = 71
  /// The disk failed under the log.
  public static let inputOutput: Int32 = 74
  /// The configuration can't be followed.
  public static let configuration: Int32 = 78
}
