//! What it takes for a run to come to each point.

use mayfly_kit::crash::Point;

/// Where the programs run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// On this machine, with a coordinator that serves and is started again when it dies.
    Server,
    /// On this machine, with a coordinator in the command.
    Command,
    /// On AWS, with a coordinator that serves.
    Aws,
    /// On AWS, with a coordinator on the fleet's own master.
    OnMaster,
}

impl Stage {
    /// As in the names of cases.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Command => "command",
            Self::Aws => "aws",
            Self::OnMaster => "on-master",
        }
    }
}

/// What is done once the job works in its first attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Nothing: it ends by itself.
    None,
    /// The master's agent is killed.
    LoseMaster,
    /// A worker's agent stands still.
    FreezeWorker,
    /// Somebody cancels the run.
    Cancel,
    /// The command that runs it is killed.
    LoseCommand,
}

/// A run that comes to a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scene {
    /// Where.
    pub stage: Stage,
    /// What is done to it.
    pub act: Act,
}

const fn scene(stage: Stage, act: Act) -> Scene {
    Scene { stage, act }
}

const SERVER: Scene = scene(Stage::Server, Act::None);
const COMMAND: Scene = scene(Stage::Command, Act::None);
const AWS: Scene = scene(Stage::Aws, Act::None);
const ON_MASTER: Scene = scene(Stage::OnMaster, Act::None);
const A_WORKER_HANGS: Scene = scene(Stage::Command, Act::FreezeWorker);
const THE_COMMAND_DIES: Scene = scene(Stage::Command, Act::LoseCommand);
const THE_MASTER_DIES: Scene = scene(Stage::Server, Act::LoseMaster);
const CANCELLED: Scene = scene(Stage::Server, Act::Cancel);

/// The scenes in which a run comes to this point. A point without one does not compile; one that its scenes do not come
/// to fails its runs.
#[must_use]
pub fn scenes(point: Point) -> &'static [Scene] {
    match point {
        Point::BundlePut
        | Point::RequestKeep
        | Point::RecordCreate
        | Point::ControlWrite
        | Point::MachineStart
        | Point::UploadsAbort
        | Point::ReceiptPut
        | Point::FolderRemove
        | Point::MachinesLeave
        | Point::ProcessesSweep => &[SERVER, COMMAND],
        Point::RecordSave | Point::GroupsArm | Point::GroupsRelease => &[SERVER, COMMAND, AWS],
        Point::PackagePut => &[ON_MASTER],
        Point::LeasePut | Point::GroupScale | Point::AgentMark | Point::AgentKeep | Point::PowerOff => &[AWS],
        Point::MachineEnd => &[A_WORKER_HANGS],
        Point::SweepKill | Point::SweepReceipt | Point::SweepRecord => &[THE_COMMAND_DIES],
        Point::AgentEnrol
        | Point::AgentPrepare
        | Point::EngineStart
        | Point::JobStart
        | Point::ResultPut
        | Point::PartPut
        | Point::PartsComplete
        | Point::LogPut
        | Point::ManifestPut
        | Point::DecisionPut
        | Point::CommitPut
        | Point::KeeperStart => &[SERVER],
        Point::ResultsAside | Point::AttemptDecide => &[THE_MASTER_DIES],
        Point::JobStop => &[CANCELLED],
    }
}
