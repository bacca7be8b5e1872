#include "vmm/timeline/timeline.h"

#include "vmm/base/log.h"
#include "vmm/base/random.h"
#include "vmm/timeline/record_files.h"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <xxhash.h>

namespace vmm::timeline {

namespace {

std::string nameOf(std::string_view id, char const* ending)
{
    return fmt::format("{}/{}.{}", momentFolder, id, ending);
}

Result<Moment> readMoment(Folder const& folder, std::string_view id)
{
    return asRead(TRY(readRecord<Moment>(folder, nameOf(id, "json"))), folder);
}

Result<> writeMoment(Folder& folder, Moment const& moment)
{
    auto const text = TRY(readableText<Moment>(recordText(asWritten(moment, folder))));
    return writeWhole(folder, nameOf(moment.id, "json"), bytesOf(text));
}

Bytes hashBytes(ConstByteSpan data, std::uint64_t seed)
{
    auto const hash = XXH3_128bits_withSeed(data.data(), data.size(), seed);
    Bytes bytes(16);
    storeLittle(ByteSpan(bytes).first(8), static_cast<std::uint64_t>(hash.low64));
    storeLittle(ByteSpan(bytes).subspan(8), static_cast<std::uint64_t>(hash.high64));
    return bytes;
}

bool isId(std::string_view text)
{
    return text.size() == idLength && text.find_first_not_of("0123456789abcdef-") == std::string_view::npos;
}

/// What a disk keeps is found by a name that nobody can guess: a record from elsewhere leads to no file or snapshot
/// that somebody else has made.
Result<> checkDisks(std::vector<MomentDisk> const& disks)
{
    for (auto const& disk : disks) {
        if (!isUuid(disk.checkpoint.id))
            return fail(
                ErrorCode::Corrupt, fmt::format("{} cannot keep anything as \"{}\"", disk.device, disk.checkpoint.id));
    }
    return {};
}

/// At most so many bytes, of whole characters, as a record will have it: what is no UTF-8 is replaced as it is written,
/// which can make it longer than a record's text may be, and the moment unreadable.
std::string shortened(std::string_view text, std::size_t most)
{
    constexpr std::size_t longestCharacter = 4;
    auto const written = state::toText(Json(std::string(text.substr(0, most + longestCharacter))), -1);
    auto whole = state::parseJson(written)->get<std::string>();
    if (whole.size() <= most)
        return whole;
    while (most > 0 && (static_cast<unsigned char>(whole[most]) & 0xc0) == 0x80)
        --most;
    whole.resize(most);
    return whole;
}

/// What is to be told of a moment whose record cannot be read: disks have called what they keep for it by its id, as
/// they do for the others. Where they keep nothing by that name there is nothing to let go of.
Moment traceOf(std::string_view id, std::vector<Moment> const& others)
{
    Moment trace;
    trace.id = id;
    std::set<std::string_view> seen;
    for (auto const& other : others) {
        for (auto const& disk : other.disks) {
            if (!seen.insert(disk.path).second)
                continue;
            auto& its = trace.disks.emplace_back(disk).checkpoint;
            if (auto const at = its.place.find(its.id); at != std::string::npos)
                its.place.replace(at, its.id.size(), id);
            its.id = id;
        }
    }
    return trace;
}

Error cancelled(char const* what)
{
    return { ErrorCode::Cancelled, what, 0 };
}

}

// Opening

Result<std::unique_ptr<Timeline>> Timeline::open(std::unique_ptr<Folder> folder, Access access)
{
    std::unique_ptr<Timeline> timeline(new Timeline(std::move(folder), access));
    TRY(timeline->loadRecord());
    timeline->m_pages = std::make_unique<PageStore>(*timeline->m_folder, timeline->m_record.seed);
    TRY(timeline->m_pages->open(access == Access::ReadWrite));
    TRY(timeline->load());
    return timeline;
}

Result<> Timeline::load()
{
    std::set<std::string> others;
    for (auto const& name : TRY(m_folder->list(momentFolder))) {
        auto const dot = name.find('.');
        auto const id = name.substr(0, dot);
        if (dot == std::string::npos || name.substr(dot) != ".json" || !isId(id)) {
            others.insert(name);
            if (name.ends_with(".set"))
                m_workingSets.insert(id);
            continue;
        }
        auto moment = readMoment(*m_folder, id);
        auto const right = [&]() -> Result<> {
            if (!moment)
                return fail(moment.error());
            if (moment->id != id)
                return fail(ErrorCode::Corrupt, "the file has another moment's name");
            TRY(checkDisks(moment->disks));
            return checkRoots(moment->memory);
        }();
        if (right)
            m_moments.emplace(id, std::move(*moment));
        else
            m_damages.push_back({ id, right.error() });
    }
    auto const isDamaged = [&](std::string_view id) {
        return std::any_of(m_damages.begin(), m_damages.end(), [&](auto const& damage) { return damage.moment == id; });
    };
    if (!m_moments.contains(m_record.present) && !isDamaged(m_record.present))
        m_record.present.clear();
    if (m_access == Access::ReadOnly)
        return {};
    // What a crash has left of the timeline's record, and between the files of a moment and its own.
    for (auto const* name : { recordName, copyName })
        TRY(m_folder->remove(std::string(name) + ".new"));
    for (auto const& name : others) {
        auto const id = name.substr(0, name.find('.'));
        bool const damaged
            = std::any_of(m_damages.begin(), m_damages.end(), [&](auto const& damage) { return damage.moment == id; });
        if (isId(id) && !damaged && (name.ends_with(".new") || !m_moments.contains(id)))
            TRY(m_folder->remove(fmt::format("{}/{}", momentFolder, name)));
    }
    m_record.unswept |= isPackLeft();
    return {};
}

/// Whether the last pack was sealed for a moment that a crash kept from its record: trees refer to no pack behind that
/// of their root. (What else nobody needs was purged, and is noted.)
bool Timeline::isPackLeft() const
{
    auto const packs = m_pages->packs();
    if (packs.empty() || !m_damages.empty())
        return false;
    return std::ranges::none_of(m_moments, [&](auto const& moment) {
        return std::ranges::any_of(
            moment.second.memory, [&](MemoryRoot const& root) { return root.pack >= packs.back(); });
    });
}

// Looking

std::vector<Moment> Timeline::list() const
{
    std::lock_guard const lock(m_mutex);
    std::vector<Moment> moments;
    for (auto const& [id, moment] : m_moments)
        moments.push_back(moment);
    return moments;
}

std::vector<Moment> Timeline::moments() const
{
    auto moments = list();
    std::stable_sort(moments.begin(), moments.end(), [](auto const& a, auto const& b) { return a.time < b.time; });
    return moments;
}

Result<Moment> Timeline::moment(std::string_view id) const
{
    std::lock_guard const lock(m_mutex);
    auto const found = m_moments.find(id);
    if (found != m_moments.end())
        return found->second;
    auto const damage = std::ranges::find(m_damages, id, &Damage::moment);
    return damage != m_damages.end() ? fail(damage->error)
                                     : fail(ErrorCode::NotFound, fmt::format("there is no moment {}", id));
}

bool Timeline::isGone(std::string_view id) const
{
    auto const record = readMoment(*m_folder, id);
    return !record && record.error().code == ErrorCode::NotFound;
}

std::string Timeline::present() const
{
    std::lock_guard const lock(m_mutex);
    return m_record.present;
}

std::string Timeline::goingTo() const
{
    std::lock_guard const lock(m_mutex);
    return m_record.goingTo;
}

Policy Timeline::policy() const
{
    std::lock_guard const lock(m_mutex);
    return m_record.policy;
}

bool Timeline::hasWaste() const
{
    std::lock_guard const lock(m_mutex);
    return m_record.unswept;
}

std::vector<Damage> Timeline::damages() const
{
    std::lock_guard const lock(m_mutex);
    return m_damages;
}

Result<std::string> Timeline::state(std::string_view id) const
{
    auto const known = TRY(moment(id));
    auto const bytes = TRY(readWhole(*m_folder, nameOf(id, "state"), maximumState));
    if (hashBytes(bytes, m_pages->seed()) != known.stateHash)
        return fail(ErrorCode::Corrupt, fmt::format("the state of the moment {} is damaged", id));
    return std::string(bytes.begin(), bytes.end());
}

Result<Bytes> Timeline::picture(std::string_view id) const
{
    auto const known = TRY(moment(id));
    if (known.pictureHash.empty())
        return Bytes();
    auto bytes = TRY(readWhole(*m_folder, nameOf(id, "png"), maximumPicture));
    if (hashBytes(bytes, m_pages->seed()) != known.pictureHash)
        return fail(ErrorCode::Corrupt, fmt::format("the picture of the moment {} is damaged", id));
    return bytes;
}

Result<MemoryTree> Timeline::memory(std::string_view id) const
{
    return MemoryTree(*m_pages, TRY(moment(id)).memory);
}

std::shared_ptr<void const> Timeline::hold(MemoryTree const& memory) const
{
    auto const roots = std::make_shared<std::vector<MemoryRoot> const>(memory.roots());
    std::lock_guard const lock(m_mutex);
    std::erase_if(m_held, [](auto const& one) { return one.expired(); });
    m_held.push_back(roots);
    return roots;
}

std::vector<std::shared_ptr<std::vector<MemoryRoot> const>> Timeline::held() const
{
    std::lock_guard const lock(m_mutex);
    std::vector<std::shared_ptr<std::vector<MemoryRoot> const>> held;
    for (auto const& one : m_held) {
        if (auto roots = one.lock())
            held.push_back(std::move(roots));
    }
    return held;
}

std::optional<WorkingSet> Timeline::workingSet(std::string_view id) const
{
    auto const nearest = [&]() -> std::string {
        std::lock_guard const lock(m_mutex);
        auto at = m_moments.find(id);
        auto const time = at == m_moments.end() ? 0 : at->second.time;
        for (auto left = m_moments.size(); at != m_moments.end() && left > 0; --left) {
            if (m_workingSets.contains(at->first))
                return at->first;
            at = m_moments.find(at->second.parent);
        }
        auto const distance
            = [&](Moment const& moment) { return std::max(moment.time, time) - std::min(moment.time, time); };
        Moment const* best = nullptr;
        for (auto const& [other, moment] : m_moments) {
            if (m_workingSets.contains(other) && (!best || distance(moment) < distance(*best)))
                best = &moment;
        }
        return best ? best->id : std::string();
    }();
    if (nearest.empty())
        return std::nullopt;
    auto set = readRecord<WorkingSet>(*m_folder, nameOf(nearest, "set"));
    if (set)
        return std::move(*set);
    log(LogLevel::Warning, "timeline", "what {} needed first is not known: {}", nearest, set.error().message());
    return std::nullopt;
}

// Changing

Result<> Timeline::setWorkingSet(std::string_view id, WorkingSet const& set)
{
    TRY(writable());
    std::lock_guard const changing(m_changing);
    auto const known = TRY(moment(id)).id;
    TRY(writeWhole(*m_folder, nameOf(known, "set"), bytesOf(recordText(set))));
    std::lock_guard const lock(m_mutex);
    m_workingSets.insert(known);
    return {};
}

Result<> Timeline::writable() const
{
    if (m_access == Access::ReadOnly)
        return fail(ErrorCode::PermissionDenied, "the timeline is open for reading only");
    return {};
}

Result<> Timeline::store(Moment const& moment)
{
    auto const written = writeMoment(*m_folder, moment);
    // Where that failed it may still be there, if not for good.
    auto const there = written ? Result<Moment>(moment) : readMoment(*m_folder, moment.id);
    std::lock_guard const lock(m_mutex);
    if (there)
        m_moments[moment.id] = *there;
    return written;
}

Result<> Timeline::change(std::string_view id, std::function<void(Moment&)> const& what)
{
    TRY(writable());
    std::lock_guard const changing(m_changing);
    auto changed = TRY(moment(id));
    what(changed);
    return store(changed);
}

Result<> Timeline::rename(std::string_view id, std::string const& name)
{
    return change(id, [&](Moment& moment) { moment.name = shortened(name, maximumName); });
}

Result<> Timeline::setNote(std::string_view id, std::string const& note)
{
    return change(id, [&](Moment& moment) { moment.note = shortened(note, maximumNote); });
}

Result<> Timeline::setPinned(std::string_view id, bool pinned)
{
    return change(id, [&](Moment& moment) { moment.pinned = pinned; });
}

Result<> Timeline::remove(std::string_view id, std::uint64_t now)
{
    return change(id, [&](Moment& moment) { moment.removedAt = now; });
}

Result<> Timeline::bringBack(std::string_view id)
{
    return change(id, [&](Moment& moment) { moment.removedAt = 0; });
}

Result<> Timeline::setPresent(std::string_view id)
{
    TRY(writable());
    std::lock_guard const changing(m_changing);
    auto record = m_record;
    record.present = id.empty() ? std::string() : TRY(moment(id)).id;
    record.goingTo.clear();
    return storeRecord(record);
}

Result<> Timeline::setGoingTo(std::string_view id)
{
    TRY(writable());
    std::lock_guard const changing(m_changing);
    auto record = m_record;
    record.goingTo = id.empty() ? std::string() : TRY(moment(id)).id;
    return storeRecord(record);
}

Result<> checkPolicy(Policy const& policy)
{
    TimelineRecord record;
    record.policy = policy;
    auto const read = state::load<TimelineRecord>(state::save(record));
    return read ? Result<>() : fail(ErrorCode::InvalidArgument, read.error().detail);
}

Result<> Timeline::setPolicy(Policy const& policy)
{
    TRY(writable());
    TRY(checkPolicy(policy));
    std::lock_guard const changing(m_changing);
    auto record = m_record;
    record.policy = policy;
    return record == m_record ? Result<>() : storeRecord(record);
}

std::vector<LooseDisks> Timeline::loose() const
{
    std::lock_guard const lock(m_mutex);
    auto loose = m_record.loose;
    // A crash came between a moment's record and this one.
    std::erase_if(loose, [&](auto const& one) {
        return m_moments.contains(one.moment)
            || std::ranges::any_of(m_damages, [&](auto const& damage) { return damage.moment == one.moment; });
    });
    return loose;
}

Result<> Timeline::setLoose(LooseDisks const& disks)
{
    return setLoose(std::vector { disks });
}

Result<> Timeline::setLoose(std::vector<LooseDisks> const& all)
{
    TRY(writable());
    std::lock_guard const changing(m_changing);
    auto record = m_record;
    for (auto const& disks : all) {
        std::erase_if(record.loose, [&](auto const& one) { return one.moment == disks.moment; });
        if (!disks.disks.empty())
            record.loose.push_back(disks);
    }
    return record == m_record ? Result<>() : storeRecord(record);
}

Room Timeline::roomFor(std::uint64_t memory, std::function<bool()> const& goOn) const
{
    auto const base = moment(present());
    return makeRoom(memory, base ? base->changedPages : memory / pageSize, goOn);
}

Result<Moment> Timeline::take(NewMoment const& what, FrozenMemory& memory, Progress const& progress, Room room)
{
    TRY(writable());
    std::lock_guard const taking(m_taking);
    m_isTakeWaiting = true;
    std::shared_lock const storing(m_storing);
    m_isTakeWaiting = false;
    if (what.state.size() > maximumState || what.picture.size() > maximumPicture)
        return fail(ErrorCode::InvalidArgument, "the machine's state is larger than a moment's can be");
    if (!what.id.empty() && (!isId(what.id) || moment(what.id)))
        return fail(ErrorCode::InvalidArgument, fmt::format("{} is no fresh id of a moment", what.id));
    auto const base = moment(present());
    auto const stored = TRY(
        storeMemory(*m_pages, memory, base ? base->memory : std::vector<MemoryRoot>(), progress, std::move(room)));

    Moment taken;
    taken.id = what.id.empty() ? makeUuid() : what.id;
    taken.name = shortened(what.name, maximumName);
    taken.note = shortened(what.note, maximumNote);
    taken.reason = what.reason;
    taken.time = what.time;
    taken.changedPages = stored.changedPages;
    taken.newPages = stored.newPages;
    taken.storedBytes = stored.bytes;
    taken.memory = stored.roots;
    taken.power = what.power;
    taken.disks = what.disks;
    if (auto const committed = commit(taken, what); !committed) {
        leaveNothingOf(taken.id, stored.pack);
        return fail(isGone(taken.id)
                ? committed.error()
                : Error(committed.error()).within("the moment is in the list, but may not outlive a power cut"));
    }
    return taken;
}

/// The moment's own files, then its record, then the timeline's.
Result<> Timeline::commit(Moment& taken, NewMoment const& what)
{
    taken.stateHash = hashBytes(bytesOf(what.state), m_pages->seed());
    TRY(writeWhole(*m_folder, nameOf(taken.id, "state"), bytesOf(what.state)));
    if (!what.picture.empty()) {
        taken.pictureHash = hashBytes(what.picture, m_pages->seed());
        TRY(writeWhole(*m_folder, nameOf(taken.id, "png"), what.picture));
    }
    std::lock_guard const changing(m_changing);
    taken.parent = present(); // its moment may have been purged meanwhile
    TRY(store(taken));
    auto record = m_record;
    record.present = taken.id;
    std::erase_if(record.loose, [&](auto const& one) { return one.moment == taken.id; });
    if (auto const stored = storeRecord(record); !stored) {
        // It is kept for good, whatever becomes of this: what comes next is stored with it, and after a crash the
        // present is only taken for what came of an earlier moment.
        log(LogLevel::Warning, "timeline", "that the present is {} is not stored: {}", taken.id,
            stored.error().message());
        std::lock_guard const lock(m_mutex);
        m_record = record;
    }
    return {};
}

/// Unless its record is there all the same, and only not known to be durable.
void Timeline::leaveNothingOf(std::string const& id, std::uint32_t pack)
{
    if (!isGone(id))
        return;
    for (auto const* ending : { "state", "png" })
        ignore(m_folder->remove(nameOf(id, ending)));
    if (pack == 0 || m_pages->remove(pack))
        return;
    std::scoped_lock const lock(m_changing, m_mutex);
    m_record.unswept = true;
}

Result<Moment> Timeline::fork(std::string_view id, std::string const& as, std::string const& state, Folder& into,
    Progress const& progress, ForkedDisks const& disks) const
{
    std::shared_lock const storing(m_storing); // nothing of it is given back meanwhile
    auto forked = TRY(moment(id));
    if (!isId(as) || as == id || state.size() > maximumState)
        return fail(ErrorCode::InvalidArgument, fmt::format("no fork of {} can be called {}", id, as));
    if (!TRY(into.list(momentFolder)).empty() || !TRY(into.list(packFolder)).empty())
        return fail(ErrorCode::AlreadyExists, "there is a timeline already");
    auto const picture = TRY(this->picture(id));
    std::uint64_t done = 0, total = 1;
    auto const mayGoOn = [&] { return goOn(progress, done, total); };
    auto const packs = TRY_WITHIN(fmt::format("the moment {}", id), neededPacks(*m_pages, forked.memory, mayGoOn));
    total = packs.size();
    for (auto const number : packs) {
        if (!mayGoOn())
            return fail(cancelled("making another machine was cancelled"));
        auto const pack = TRY(m_pages->pack(number));
        auto const linked = into.link(pack->file(), packName(number));
        if (!linked && linked.error().code != ErrorCode::Unsupported)
            return fail(linked.error());
        if (!linked)
            TRY(copyWhole(pack->file(), into, packName(number), mayGoOn));
        ++done;
    }
    TRY(into.sync(packFolder));

    forked.id = as;
    forked.parent.clear();
    forked.disks = disks.kept;
    forked.reason = Reason::Kept;
    forked.removedAt = 0;
    forked.stateHash = hashBytes(bytesOf(state), m_pages->seed());
    TRY(writeWhole(into, nameOf(as, "state"), bytesOf(state)));
    if (!picture.empty())
        TRY(writeWhole(into, nameOf(as, "png"), picture));
    TRY(writeMoment(into, forked));
    // The last one: without its record it is no timeline.
    TimelineRecord record {
        .seed = m_pages->seed(), .present = {}, .goingTo = as, .loose = disks.loose, .policy = policy()
    };
    auto const text = TRY(readableText<TimelineRecord>(textOf(asWritten(record, into))));
    TRY(writeWhole(into, recordName, bytesOf(text)));
    return forked;
}

Result<> Timeline::purge(std::string_view id)
{
    TRY(writable());
    std::lock_guard const changing(m_changing);
    bool const isDamaged = std::ranges::any_of(damages(), [&](auto const& damage) { return damage.moment == id; });
    auto const gone = isDamaged ? traceOf(id, list()) : TRY(moment(id));
    if (m_record.goingTo == id)
        return fail(ErrorCode::NotNow, "the machine's disks are on their way to that moment; go there first");
    // Cut off after the next step it would be the last of a branch, which stays: so that it goes all the same is known
    // first.
    if (auto marked = gone; !isDamaged && gone.removedAt == 0) {
        marked.removedAt = 1;
        TRY(store(marked));
    }
    for (auto child : list()) {
        if (child.parent != id)
            continue;
        child.parent = gone.parent;
        TRY(store(child));
    }
    auto record = m_record;
    if (record.present == id)
        record.present = gone.parent;
    std::erase_if(record.loose, [&](auto const& one) { return one.moment == id; });
    if (!gone.disks.empty())
        record.loose.push_back({ gone.id, gone.disks });
    record.unswept = true;
    ++m_purges;
    if (record != m_record)
        TRY(storeRecord(record));
    // The record first: without it the others are nothing.
    TRY(m_folder->remove(nameOf(id, "json")));
    {
        std::lock_guard const lock(m_mutex);
        m_moments.erase(gone.id);
        m_workingSets.erase(gone.id);
        std::erase_if(m_damages, [&](auto const& damage) { return damage.moment == gone.id; });
    }
    TRY(m_folder->sync(momentFolder));
    TRY(m_folder->remove(nameOf(id, "set")));
    TRY(m_folder->remove(nameOf(id, "state")));
    return m_folder->remove(nameOf(id, "png"));
}

// Counting, checking

std::uint64_t Timeline::size() const
{
    std::uint64_t sum = 0;
    for (auto const number : m_pages->packs()) {
        auto const pack = m_folder->open(packName(number));
        sum += pack ? (*pack)->size().value_or(0) : 0;
    }
    for (auto const& moment : list())
        sum += besides(moment);
    return sum;
}

Result<Usage> Timeline::usage(std::function<bool()> const& goOn) const
{
    std::shared_lock const storing(m_storing);
    auto const moments = list();
    Census::How how;
    how.goOn = goOn;
    auto const census = TRY(Census::of(*m_pages, treesOf(moments), std::move(how)));
    std::uint64_t none = 0; // what several need is nobody's own
    Usage usage;
    std::vector<std::uint64_t> own(moments.size());
    auto const of = [&](std::uint32_t owner) -> std::uint64_t& {
        return owner == Census::nobody ? usage.free : owner == Census::several ? none : own[owner - 1];
    };
    for (auto const& [number, pack] : census.packs()) {
        if (goOn && !goOn())
            return fail(cancelled("counting the timeline was cancelled"));
        usage.total += pack.fileSize;
        for (std::uint32_t page = 0; page < pack.pageCount; ++page)
            of(pack.pages[page]) += pack.sizeOf(page);
        for (std::uint32_t node = 0; node < pack.nodeCount; ++node)
            of(pack.nodes[node]) += nodeSize;
    }
    for (std::size_t i = 0; i < moments.size(); ++i) {
        // A page that a moment has twice counts twice, so that its tree can come to more than there is.
        auto const whole = std::min(census.sizeOf(i), usage.total);
        auto const shared = whole > own[i] ? whole - own[i] : 0;
        auto const beside = besides(moments[i]);
        usage.moments[moments[i].id] = { own[i] + beside, shared };
        usage.total += beside;
    }
    return usage;
}

/// The bytes of a moment's own files. One that is missing is no matter here.
std::uint64_t Timeline::besides(Moment const& moment) const
{
    std::uint64_t sum = 0;
    for (auto const* ending : { "json", "state", "png", "set" }) {
        auto const file = m_folder->open(nameOf(moment.id, ending));
        sum += file ? (*file)->size().value_or(0) : 0;
    }
    return sum;
}

Result<> Timeline::checkFile(std::string const& name, std::uint64_t limit, Bytes const& hash) const
{
    if (hashBytes(TRY(readWhole(*m_folder, name, limit)), m_pages->seed()) != hash)
        return fail(ErrorCode::Corrupt, name + " is damaged");
    return {};
}

Result<std::vector<Damage>> Timeline::verify(Progress const& progress) const
{
    std::shared_lock const storing(m_storing);
    auto damaged = damages();
    auto const moments = list();
    // All pages once, then who needs those that are damaged.
    Census::How how;
    auto const packs = m_pages->packs();
    std::uint64_t done = 0;
    Bytes pages;
    for (auto const number : packs) {
        auto const pack = m_pages->pack(number);
        if (!pack)
            how.unreadPacks.emplace(number, pack.error());
        for (std::uint32_t frame = 0; pack && frame < (*pack)->frames(); ++frame) {
            pages.resize((*pack)->pagesIn(frame) * pageSize);
            if (auto const read = m_pages->readFrame(**pack, frame, pages); !read) {
                bool const isBad = read.error().code == ErrorCode::Corrupt;
                (isBad ? how.badFrames : how.unreadFrames).insert(**pack, frame);
                if (!isBad)
                    how.whyNot.try_emplace(number, read.error());
            }
            if (frame % 64 == 0 && !goOn(progress, done, packs.size()))
                return fail(cancelled("checking the timeline was cancelled"));
        }
        ++done;
    }
    how.goOn = [&] { return goOn(progress, done, packs.size()); };
    auto const census = TRY(Census::of(*m_pages, treesOf(moments), std::move(how)));
    for (std::size_t i = 0; i < moments.size(); ++i) {
        auto const& moment = moments[i];
        auto const whole = [&]() -> Result<> {
            TRY(checkFile(nameOf(moment.id, "state"), maximumState, moment.stateHash));
            if (!moment.pictureHash.empty())
                TRY(checkFile(nameOf(moment.id, "png"), maximumPicture, moment.pictureHash));
            return census.checkWhole(i);
        }();
        if (!whole)
            damaged.push_back({ moment.id, whole.error() });
    }
    std::erase_if(damaged, [this](Damage const& damage) { return isGone(damage.moment); });
    return damaged;
}

}
