#include "vmm/filesystems/file_tree.h"

namespace vmm {

FileChanges compareTrees(FileTree const& before, FileTree const& after, std::size_t most)
{
    using What = FileChange::What;
    FileChanges changes;
    auto const add = [&](std::string const& path, What what, FileFacts const* old, FileFacts const* fresh) {
        ++changes.count;
        if (changes.files.size() < most) {
            changes.files.push_back(
                { path, what, (fresh ? fresh : old)->kind, old ? old->size : 0, fresh ? fresh->size : 0 });
        }
    };
    auto old = before.begin();
    auto fresh = after.begin();
    while (old != before.end() || fresh != after.end()) {
        if (fresh == after.end() || (old != before.end() && old->first < fresh->first)) {
            add(old->first, What::Removed, &old->second, nullptr);
            ++old;
        } else if (old == before.end() || fresh->first < old->first) {
            add(fresh->first, What::Added, nullptr, &fresh->second);
            ++fresh;
        } else {
            bool const areFolders
                = old->second.kind == FileFacts::Kind::Folder && fresh->second.kind == FileFacts::Kind::Folder;
            if (!areFolders && old->second != fresh->second)
                add(old->first, What::Changed, &old->second, &fresh->second);
            ++old;
            ++fresh;
        }
    }
    return changes;
}

}
