import pytest
from pydantic import ValidationError

from assembly.record.settings import AssemblySettings


@pytest.mark.parametrize(
    "wrong", [{"rounds": -1}, {"table_size": 1}, {"tables": 3}, {"min_mass": 2}]
)
def test_a_setting_out_of_range_or_unknown_is_refused(wrong) -> None:
    with pytest.raises(ValidationError):
        AssemblySettings(**wrong)
