#pragma once

#include "vmm/block/checkpoint.h"
#include "vmm/machine/pc_board.h"
#include "vmm/virtio/block_device.h"

namespace vmm {

class AtapiCd;
class UsbDisk;

/// A disk's thread, the engine on it and the image that lives there. The device in front of it is among the board's.
struct PcBoard::Disk {
    std::string id;
    std::unique_ptr<LoopThread> thread;
    std::unique_ptr<IoEngine> engine;
    std::unique_ptr<CheckpointedDisk> file;   // its image may be empty in a CD drive
    std::unique_ptr<CheckpointMethod> method; // how it follows moments, once that was asked
    EventLoop::Handle idleWork;               // what its image does when there is time
    virtio::BlockDevice* device = nullptr;    // in front of it: this, or a stick, or the port of a controller
    UsbDisk* stick = nullptr;
    AhciController* controller = nullptr;
    unsigned port = 0;

    // A CD drive.
    AtapiCd* drive = nullptr;
    std::string path;                       // of the medium
    std::atomic<unsigned> mediaSoFar { 0 }; // which medium it is
    std::shared_ptr<bool> alive = std::make_shared<bool>(true);

    ~Disk()
    {
        if (thread) {
            thread->loop().call([this] {
                idleWork.reset();
                file.reset();
                engine.reset();
            });
        }
    }
};

}
