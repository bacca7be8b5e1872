#include "vmm/base/log.h"
#include "vmm/block/qcow2_image.h"
#include "vmm/block/qcow2_uses.h"

namespace vmm {

using namespace qcow2;

/// The dirty bit says that refcounts were put off (lazy refcounts) and the image was not closed: they are counted anew
/// from the tables that use the clusters. docs/interop/qcow2.txt, section "Header", incompatible_features bit 0.
Result<> Qcow2Image::repair()
{
    auto& header = m_qcow.header();
    if (header.hasBitmaps)
        return fail(ErrorCode::Unsupported, m_file->name() + " was not closed properly and has dirty bitmaps");
    log(LogLevel::Info, "block", "{} was not closed properly, counting its clusters", m_file->name());

    Refcounts refcounts(m_qcow);
    TRY(refcounts.open());
    auto uses = TRY_WITHIN("it was not closed properly", Uses::count(m_qcow, refcounts, [] { return Result<>(); }));
    if (!TRY(uses.flagsAgree()))
        return fail(m_qcow.corruptError("it was not closed properly, and its tables contradict each other"));
    TRY(refcounts.rebuild(std::move(uses.counts())));
    header.incompatible &= ~dirtyBit;
    TRY(m_qcow.writeHeaderField(incompatibleField, header.incompatible));
    return m_file->sync();
}

}
