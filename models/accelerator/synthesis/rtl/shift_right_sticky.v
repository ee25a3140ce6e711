// A barrel shifter to the right; `sticky` where a one fell off.
module shift_right_sticky #(
    parameter W = 8,
    parameter S = 3  // bits of the amount
) (
    input [W-1:0] x,
    input [S-1:0] amount,
    output reg [W-1:0] y,
    output reg sticky
);
    integer i;
    always @* begin
        y = x;
        sticky = 1'b0;
        // in stages: what falls off is then seen with W gates, not with a second shifter
        for (i = 0; i < S; i = i + 1) begin
            sticky = sticky | (amount[i] & ((y >> (1 << i)) << (1 << i)) != y);
            y = amount[i] ? y >> (1 << i) : y;
        end
    end
endmodule
