// W flip-flops.
module register #(
    parameter W = 8
) (
    input clk,
    input [W-1:0] d,
    output reg [W-1:0] q
);
    always @(posedge clk) q <= d;
endmodule
