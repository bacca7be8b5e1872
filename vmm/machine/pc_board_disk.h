#pragma once

#include "vmm/block/image.h"
#include "vmm/machine/pc_board.h"
#include "vmm/virtio/block_device.h"

namespace vmm {

class AtapiCd;

/// A disk's thread, the engine on it and the image that lives there. The device in front of it is among the board's.
struct PcBoard::Disk {
    std::string id;
    std::unique_ptr<LoopThread> thread;
    std::unique_ptr<IoEngine> engine;
    std::unique_ptr<BlockImage> image; // a CD drive may have none
    virtio::BlockDevice* device = nullptr;

    // A CD drive.
    AtapiCd* drive = nullptr;
    AhciController* controller = nullptr;
    unsigned port = 0;
    std::string path;                       // of the medium
    std::atomic<unsigned> mediaSoFar { 0 }; // which medium it is
    std::shared_ptr<bool> alive = std::make_shared<bool>(true);

    ~Disk()
    {
        if (thread) {
            thread->loop().call([this] {
                image.reset();
                engine.reset();
            });
        }
    }
};

}
